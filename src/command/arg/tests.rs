#![allow(clippy::needless_borrows_for_generic_args)]

use super::{ArgWriter, Args, Many, One, ToArg, ToArgs};
use crate::command::groups as cmd;
use crate::command::{Command, cmd as any};
use crate::error::ErrorKind;
use crate::value::{Fields, Json};
use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};
use std::rc::Rc;
use std::sync::Arc;

fn written(args: impl ToArgs) -> Vec<Vec<u8>> {
    let command = any("X").args(args);
    command.check().unwrap();
    command.arguments().map(<[u8]>::to_vec).collect()
}

fn text(args: impl ToArgs) -> String {
    let args = written(args);
    args.iter().map(|arg| String::from_utf8_lossy(arg)).collect::<Vec<_>>().join(" ")
}

fn refusal(args: impl ToArgs) -> String {
    let error = any("X").args(args).check().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidCommand);
    error.to_string()
}

fn parts(command: impl Into<Command>) -> Vec<Vec<u8>> {
    command.into().parts().map(<[u8]>::to_vec).collect()
}

#[test]
fn bytes_of_every_type_are_one_argument() {
    let bytes: &[u8] = b"tok-1";
    let array = *b"tok-1";
    let all = [
        written(bytes),
        written(b"tok-1"),
        written(array),
        written(&array),
        written(bytes.to_vec()),
        written(&bytes.to_vec()),
        written(bytes::Bytes::from_static(b"tok-1")),
        written(Box::<[u8]>::from(bytes)),
        written(Arc::<[u8]>::from(bytes)),
        written(Rc::<[u8]>::from(bytes)),
        written(Cow::Borrowed(bytes)),
        written(array.iter().collect::<Vec<&u8>>()),
        written([array]),
        written(Some(bytes)),
        written(vec![bytes.to_vec()]),
    ];
    assert!(all.iter().all(|args| args == &[b"tok-1".to_vec()]), "{all:?}");
    assert_eq!(written([[1u8, 2], [3, 4]]), [[1, 2], [3, 4]]);
    assert_eq!(text([116, 111]), "116 111");
    assert_eq!(text((5u8, 6u8)), "5 6");
    assert_eq!(text(5u8), "5");
}

#[test]
fn bytes_and_single_keys_reach_commands_of_many() {
    let json = serde_json::to_vec(&[1, 2]).unwrap();
    assert_eq!(parts(cmd::lpush("k", json)), [&b"LPUSH"[..], b"k", b"[1,2]"]);
    assert_eq!(parts(cmd::sadd("k", b"tok-1")), [&b"SADD"[..], b"k", b"tok-1"]);
    assert_eq!(parts(cmd::del(b"abc")), [&b"DEL"[..], b"abc"]);
    assert_eq!(parts(cmd::del("k")), [&b"DEL"[..], b"k"]);
    assert_eq!(parts(cmd::xack("s", "g", &"1-1".to_owned())), [&b"XACK"[..], b"s", b"g", b"1-1"]);
    assert_eq!(parts(cmd::sinterstore("d", "a")), [&b"SINTERSTORE"[..], b"d", b"a"]);
    assert_eq!(parts(cmd::sintercard("a")), [&b"SINTERCARD"[..], b"1", b"a"]);
}

#[test]
fn single_values_are_one_argument() {
    fn one(arg: impl ToArg) -> String {
        text(arg)
    }
    let owned = "a".to_owned();
    assert_eq!([one("a"), one(&owned), one(owned.clone()), one(Cow::Borrowed("a"))], ["a"; 4]);
    assert_eq!([one(Box::<str>::from("a")), one(Arc::<str>::from("a")), one('a')], ["a"; 3]);
    assert_eq!(
        [one(true), one(false), one(-7i8), one(u128::MAX)].join(" "),
        format!("1 0 -7 {}", u128::MAX)
    );
    assert_eq!(
        [one(1.5), one(f32::INFINITY), one(&&1u64), one(&mut 2usize)],
        ["1.5", "inf", "1", "2"]
    );
    assert_eq!(one(uuid::Uuid::nil()), "00000000-0000-0000-0000-000000000000");
    assert_eq!(one(Json(serde_json::json!({"a": [1]}))), r#"{"a":[1]}"#);
    assert!(refusal(f64::NAN).contains("not a number"));
}

#[test]
fn lists_tuples_maps_and_options_are_several() {
    assert_eq!(text(["a", "b"]), "a b");
    assert_eq!(text(&["a", "b"][..]), "a b");
    assert_eq!(text(vec!["a".to_owned(), "b".to_owned()]), "a b");
    assert_eq!(text(HashSet::from(["a"])), "a");
    assert_eq!(text(BTreeMap::from([("a", 1), ("b", 2)])), "a 1 b 2");
    assert_eq!(text([("f", "v"), ("g", "w")]), "f v g w");
    assert_eq!(text((("name", "Ada"), ("age", 36), ("admin", true))), "name Ada age 36 admin 1");
    assert_eq!(text((1, 2.5, 'c', "d", vec![0x65u8], b"f", Json("g"))), "1 2.5 c d e f \"g\"");
    assert_eq!(text(Some(("EX", 5))), "EX 5");
    assert_eq!(text(None::<&str>), "");
    assert_eq!(text(()), "");
}

#[test]
fn iterators_are_collected() {
    let keys: Args = (1..3).map(|id| format!("u:{id}")).collect();
    assert_eq!((text(&keys), keys.len(), keys.is_empty()), ("u:1 u:2".to_owned(), 2, false));
    let mut mixed = Args::new();
    assert!(mixed.is_empty());
    mixed.push(1);
    mixed.extend([("a", true)]);
    assert_eq!(text(mixed), "1 a 1");
    assert!(refusal([1.0, f64::NAN].iter().collect::<Args>()).contains("not a number"));
}

#[test]
fn types_of_ones_own_take_one_impl() {
    struct Id(u32);
    impl ToArgs for Id {
        type Count = One;
        fn write_args(&self, out: &mut ArgWriter<'_>) {
            out.display(format_args!("id:{}", self.0));
        }
    }
    assert_eq!(parts(cmd::get::<String>(Id(1))), [&b"GET"[..], b"id:1"]);
    assert_eq!(text([Id(1), Id(2)]), "id:1 id:2");
    assert_eq!(text((Id(1), "v")), "id:1 v");

    struct Odd(usize);
    impl ToArgs for Odd {
        type Count = One;
        fn write_args(&self, out: &mut ArgWriter<'_>) {
            (0..self.0).for_each(|_| out.bytes(b"x"));
        }
    }
    for count in [0, 2] {
        let command = any("SET").arg(Odd(count)).arg("v");
        assert!(command.check().is_err());
        assert_eq!(command.get(1), Some(&b"v"[..]));
    }
}

#[test]
fn an_odd_list_of_pairs_is_refused() {
    struct Three;
    impl ToArgs for Three {
        type Count = Many;
        fn write_args(&self, out: &mut ArgWriter<'_>) {
            out.args(["a", "1", "b"]);
        }
    }
    let calls = [
        cmd::hset("k", Three).into_command(),
        cmd::mset(Three).into_command(),
        cmd::msetnx(Three).into_command(),
        cmd::msetex(Three).into_command(),
        cmd::hsetex("k", Three).into_command(),
        cmd::xadd("k", "*", Three).into_command(),
        cmd::config_set(Three).into_command(),
    ];
    for command in calls {
        assert!(command.check().unwrap_err().to_string().contains("odd number"), "{command:?}");
    }
    assert!(cmd::hset("k", ["f", "v"]).into_command().check().is_ok());
}

#[test]
fn structs_are_names_and_values() {
    #[derive(serde::Serialize)]
    enum Plan {
        Pro,
    }
    #[derive(serde::Serialize)]
    struct User<'a> {
        name: &'a str,
        age: u8,
        admin: bool,
        score: f64,
        plan: Plan,
        email: Option<&'a str>,
        phone: Option<&'a str>,
        tags: Json<Vec<&'a str>>,
    }
    let user = User {
        name: "Ada",
        age: 36,
        admin: true,
        score: 1.5,
        plan: Plan::Pro,
        email: None,
        phone: Some("1"),
        tags: Json(vec!["a"]),
    };
    let wanted = r#"name Ada age 36 admin 1 score 1.5 plan Pro phone 1 tags ["a"]"#;
    assert_eq!(text(Fields(&user)), wanted);
    assert_eq!(text(Fields(BTreeMap::from([("a", Some(1)), ("b", None)]))), "a 1");

    #[derive(serde::Serialize)]
    struct Nested {
        tags: Vec<&'static str>,
    }
    let message = refusal(Fields(Nested { tags: vec!["s3cret"] }));
    assert!(message.contains("`tags`") && message.contains("`Json`"), "{message}");
    let message = refusal(Fields(BTreeMap::from([("s3cret", vec![1])])));
    assert!(message.contains("`Json`") && !message.contains("s3cret"), "{message}");
    assert!(refusal(Fields(7)).contains("a struct or a map"));
    assert!(refusal(Fields(["a"])).contains("a struct or a map"));
}
