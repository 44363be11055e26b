use super::*;

#[test]
fn addresses_that_cannot_work_are_refused_without_quoting_them() {
    for url in [
        "",
        "s3cret",
        "http://s3cret",
        "rediss://:s3cret@host#insecure",
        "redis://:s3cret@host:99999",
    ] {
        let error = NativeBackend::lazy(url).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(!format!("{error} {error:?}").contains("s3cret"));
    }
    let backend = NativeBackend::lazy("redis://:s3cret@h0st/3").unwrap();
    assert_eq!(format!("{backend:?}"), "NativeBackend");
}
