use super::*;

#[test]
fn every_argument_is_one_argument() {
    let command = cmd("SCRIPT LOAD")
        .arg("a b")
        .arg(-7_i8)
        .arg(1.5)
        .arg(f64::INFINITY)
        .arg(&b"\xff\0"[..])
        .args(["x", "y"]);
    let parts: Vec<_> = command.parts().collect();
    assert_eq!(
        parts,
        [&b"SCRIPT"[..], b"LOAD", b"a b", b"-7", b"1.5", b"inf", b"\xff\0", b"x", b"y"]
    );
    assert_eq!(command.get(0), Some(&b"LOAD"[..]));
    assert_eq!(command.get(8), None);
}

#[cfg(target_pointer_width = "64")]
#[test]
fn a_command_has_64_bytes() {
    assert_eq!(size_of::<Command>(), 64);
}

#[test]
fn debug_hides_arguments_and_odd_names() {
    assert_eq!(format!("{:?}", cmd("GET").arg("s3cret")), "Command(GET + 1 arguments)");
    assert_eq!(format!("{:?}", cmd("s3cret:ÿ")), "Command(? + 0 arguments)");
}

#[test]
fn a_command_without_a_name_is_refused() {
    assert!(cmd(" ").check().is_err());
    assert!(cmd("GET").arg(f64::NAN).check().is_err());
}
