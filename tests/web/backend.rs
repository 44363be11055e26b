use crate::support::{client, config};
use redis_rest::Encoding;
use redis_rest::conformance::backend;
use wasm_bindgen_test::wasm_bindgen_test;

macro_rules! base64 {
    ($($case:ident)*) => {
        $(#[wasm_bindgen_test]
        async fn $case() {
            backend::$case(&client()).await;
        })*
    };
}
redis_rest::each_backend_case!(base64);

mod resp2 {
    use super::*;

    macro_rules! resp2 {
        ($($case:ident)*) => {
            $(#[wasm_bindgen_test]
            async fn $case() {
                backend::$case(&config().encoding(Encoding::Resp2).build().unwrap()).await;
            })*
        };
    }
    redis_rest::each_backend_case!(resp2);
}
