// The module that the Workers runtime starts: it instantiates the wasm module and passes events on.
import * as glue from "./cloudflare_worker_bg.js";
import module from "./cloudflare_worker_bg.wasm";

const instance = new WebAssembly.Instance(module, { "./cloudflare_worker_bg.js": glue });
glue.__wbg_set_wasm(instance.exports);
instance.exports.__wbindgen_start();

export default {
  fetch: (request, env, context) => glue.fetch(request, env, context),
};
