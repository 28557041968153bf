# SPDX-License-Identifier: Apache-2.0
"""TCP ports: who listens, which are free, how one is bound."""

from __future__ import annotations

import os
import socket

import pytest

from tfs_deploy.errors import EnvironmentFault, PortInUseError
from tfs_deploy.host.tcp_ports import (
    bind,
    check_free,
    find_listener,
    free_ports,
    is_free,
    listening_addresses,
    listening_inodes,
    require_free,
)

TABLE = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:2134 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4242 1 0000 100 0 0 10 0
   1: 0100007F:2134 0100007F:C350 01 00000000:00000000 00:00000000 00000000     0        0 4243 1 0000 20 4 30 10 -1
   2: 00000000:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 77 1 0000 100 0 0 10 0
"""


def test_only_listening_sockets_of_that_port_count():
    assert listening_inodes(TABLE, 8500) == {4242}
    assert listening_inodes(TABLE, 8080) == {77}
    assert listening_inodes(TABLE, 50000) == set()
    assert listening_inodes("", 8500) == set()


def test_ipv6_tables_are_read_alike():
    table = (
        "header\n 0: 00000000000000000000000000000000:2134 00000000000000000000000000000000:0000 0A 0:0 0:0 0 0 0 9 1"
    )
    assert listening_inodes(table, 8500) == {9}


@pytest.mark.parametrize(
    ("family", "host"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::1")]
)
def test_a_listener_on_any_address_is_found(family, host):
    with socket.socket(family) as server:
        try:
            server.bind((host, 0))
        except OSError:
            pytest.skip("no IPv6 on this machine")
        server.listen()
        port = server.getsockname()[1]
        assert not is_free(port)
        listener = find_listener(port)
        assert listener is not None
        assert listener.pid == os.getpid()
        with pytest.raises(
            PortInUseError, match=rf"port {port} is in use by process {os.getpid()} \(.*python"
        ) as caught:
            require_free(port, "grpc_port")
        assert "another grpc_port" in str(caught.value.hint)


def test_a_port_that_shares_itself_is_in_use():
    """gRPC servers set SO_REUSEPORT; a second one on the same port would get a part of the requests."""
    with socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        server.bind(("127.0.0.1", 0))
        server.listen()
        assert not is_free(server.getsockname()[1])


def test_a_free_port(free_port):
    assert is_free(free_port)
    assert find_listener(free_port) is None
    require_free(free_port, "grpc_port")


def test_a_port_that_was_just_closed_is_free(free_port):
    with socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind(("127.0.0.1", free_port))
        server.listen()
        with socket.create_connection(("127.0.0.1", free_port)) as client:
            accepted, _ = server.accept()
            accepted.close()
            client.recv(1)
    assert is_free(free_port)


def test_a_machine_without_proc_says_nothing(tmp_path, free_port):
    assert find_listener(free_port, proc=tmp_path) is None


@pytest.mark.parametrize(
    ("written", "below"), [(None, 49_152), ("", 49_152), ("12000\t60999\n", 20_000), ("40000\t60999\n", 40_000)]
)
def test_free_ports_differ_are_free_and_no_client_takes_them(tmp_path, monkeypatch, written, below):
    table = tmp_path / "ip_local_port_range"
    if written is not None:
        table.write_text(written)
    monkeypatch.setattr("tfs_deploy.host.tcp_ports._CLIENT_PORTS", table)
    ports = free_ports(5)
    assert len(set(ports)) == 5
    assert all(is_free(port) and 10_000 <= port < below for port in ports)


def test_a_port_that_is_bound_twice_names_who_has_it():
    with bind("127.0.0.1", 0, what="REST") as listener:
        listener.listen()
        port = listener.getsockname()[1]
        with pytest.raises(PortInUseError, match=rf"the gRPC port {port} is in use by process {os.getpid()} "):
            check_free("127.0.0.1", port, what="gRPC")


def test_a_number_that_is_not_a_port():
    with pytest.raises(EnvironmentFault, match="70000 is not a valid REST port"):
        bind("127.0.0.1", 70000, what="REST")


def test_an_ipv4_address_of_an_ipv6_socket():
    with socket.socket(socket.AF_INET6) as server:
        server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        server.bind(("::ffff:127.0.0.1", 0))
        server.listen()
        assert listening_addresses(server.getsockname()[1]) == {"127.0.0.1"}


@pytest.mark.parametrize(("family", "host"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")])
def test_the_addresses_that_are_listened_on(family, host):
    with socket.create_server((host, 0), family=family) as server:
        assert listening_addresses(server.getsockname()[1]) == {host}
    with socket.create_server(("0.0.0.0", 0)) as server:
        assert listening_addresses(server.getsockname()[1]) == {"0.0.0.0"}
