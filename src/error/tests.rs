use super::*;

#[test]
fn is_one_pointer_wide_and_shareable() {
    fn shareable<T: Send + Sync + Clone + 'static>() {}
    shareable::<Error>();
    assert_eq!(size_of::<Error>(), size_of::<usize>());
}

#[test]
fn server_texts_with_data_are_not_shown() {
    let error = Error::redis(ServerError::new(
        "ERR unknown command 'x', with args beginning with: 's3cret'",
    ));
    assert_eq!(error.to_string(), "ERR unknown command");
    assert!(!format!("{error:?}").contains("s3cret"));
    assert!(error.server_message().is_some_and(|text| text.contains("s3cret")));
    let error = Error::redis(ServerError::new("S3CRET of a script"));
    assert!(!format!("{error} {error:?}").contains("S3CRET"));
}

#[test]
fn database_that_refuses_connections_is_unavailable() {
    for text in ["DB connection refused", "ERR DB connection refused", "LOADING x"] {
        assert!(Error::redis(ServerError::new(text)).is_unavailable(), "{text}");
    }
    assert!(!Error::redis(ServerError::new("ERR no")).is_unavailable());
}

#[test]
fn texts_name_the_command() {
    let wrong =
        || ServerError::new("WRONGTYPE Operation against a key holding the wrong kind of value");
    let error = Error::redis(wrong()).of_command("GET");
    assert_eq!(
        error.to_string(),
        "GET: WRONGTYPE Operation against a key holding the wrong kind of value"
    );
    assert_eq!(error.command(), Some("GET"));
    assert_eq!(Error::redis(wrong()).of_command("?").command(), None);
}

#[test]
fn a_script_that_fails_says_its_line() {
    let of =
        |text: &str| Error::redis(ServerError::new(text)).of_command("EVAL").of_writing_script();
    let error =
        of("ERR Error compiling script (new function): user_script:12: '=' expected near 's3cret'");
    assert_eq!(error.to_string(), "EVAL: ERR Error compiling script, line 12");
    assert!(!error.maybe_applied());
    let error = error.verbose();
    assert!(error.to_string().ends_with("near 's3cret'"), "{error}");
    let error = of("ERR s3cret script: 0123abcd, on @user_script:3.");
    assert_eq!(
        error.to_string(),
        "EVAL: Redis error ERR, line 3; the command may have been applied"
    );
    assert!(!of("ERR user_script:s3cret").to_string().contains("s3cret"));
}

#[test]
fn outcomes_tell_three_things_apart() {
    assert_eq!(Error::new(ErrorKind::Connect, "").outcome(), Outcome::NotApplied);
    assert_eq!(Error::new(ErrorKind::Conversion, "").outcome(), Outcome::Applied);
    assert_eq!(Error::new(ErrorKind::Timeout, "").outcome(), Outcome::MaybeApplied);
    let in_script = ServerError::new("WRONGTYPE Operation … script: 1a2b, on @user_script:1.");
    assert!(Error::redis(in_script).maybe_applied());
    assert!(
        !Error::redis(ServerError::new("NOSCRIPT No matching script. Please use EVAL."))
            .maybe_applied()
    );
}
