/* SPDX-License-Identifier: Apache-2.0
   Search where the site is opened as files: browsers start no worker from a file, so its script runs in a hidden frame. */
"use strict"
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    constructor(address) {
      super()
      const url = new URL(address, location.href).href
      const frame = document.createElement("iframe")
      frame.hidden = true
      document.body.appendChild(frame)
      this.inside = frame.contentWindow
      this.inside.document.open()
      this.inside.document.write("<html><body></body></html>")
      this.inside.document.close()
      const load = (path) =>
        new Promise((resolve, reject) => {
          const script = this.inside.document.createElement("script")
          script.src = new URL(path, url).href
          script.onload = resolve
          script.onerror = () => reject(new Error(`${path} cannot be loaded`))
          this.inside.document.body.appendChild(script)
        })
      this.inside.importScripts = (...paths) =>
        paths.reduce((before, path) => before.then(() => load(path)), Promise.resolve())
      this.inside.postMessage = (data) => this.dispatchEvent(new MessageEvent("message", { data }))
      this.ready = load(url)
    }
    postMessage(data) {
      this.ready.then(() => this.inside.dispatchEvent(new MessageEvent("message", { data })))
    }
    terminate() {
      this.inside.frameElement.remove()
    }
  }
}
