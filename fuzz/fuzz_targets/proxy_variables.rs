#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| redis_rest::fuzzing::proxy_variables(data));
