#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| redis_rest_fuzz::server_request(data));
