# SPDX-License-Identifier: Apache-2.0
"""What tests share: servers, clients, consumers, scenarios, and stand-ins for what is not installed here."""
