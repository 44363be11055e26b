use super::*;

const WIDE: Limits = Limits { bytes: 1 << 20, depth: 64 };

/// Reads all replies in `stream`, cut every `step` bytes; each reply counts as the last call's.
fn read(stream: &[u8], step: usize, limits: Limits) -> Result<Vec<Received>, Broken> {
    let (mut reader, mut replies) = (ReplyReader::new(limits), Vec::new());
    for mut piece in stream.chunks(step) {
        while let Some(reply) = reader.read(&mut piece, None)? {
            replies.push(reply);
        }
    }
    Ok(replies)
}

fn read_all(stream: &[u8], limits: Limits) -> Vec<Received> {
    let all = read(stream, stream.len(), limits).unwrap();
    for step in 1..stream.len().min(20) {
        assert!(read(stream, step, limits).unwrap() == all, "cut every {step} bytes");
    }
    all
}

fn whole(value: Value) -> Received {
    Received::Whole(Ok(value))
}

fn deep(arrays: usize) -> Vec<u8> {
    [b"*1\r\n".repeat(arrays), b":1\r\n".to_vec()].concat()
}

#[test]
fn every_kind_of_reply_is_read_however_the_stream_is_cut() {
    let stream =
        b"+OK\r\n+a\xff\nb\r\n-ERR \xff\r\n:-9223372036854775808\r\n$-1\r\n*-1\r\n$0\r\n\r\n\
        $4\r\n\r\n\xff-\r\n*0\r\n*3\r\n$1\r\na\r\n*1\r\n*0\r\n-MOVED 1 h:1\r\n";
    let nested = vec![
        Value::bytes("a"),
        Value::Array(vec![Value::Array(Vec::new())]),
        Value::Error(ServerError::new("MOVED 1 h:1")),
    ];
    let wanted = [
        Value::Okay,
        Value::bytes(&b"a\xff\nb"[..]),
        Value::Error(ServerError::new("ERR \u{fffd}")),
        Value::Int(i64::MIN),
        Value::Nil,
        Value::Nil,
        Value::bytes(""),
        Value::bytes(&b"\r\n\xff-"[..]),
        Value::Array(Vec::new()),
        Value::Array(nested),
    ];
    assert!(read_all(stream, WIDE) == wanted.map(whole));
}

#[test]
fn replies_beyond_a_limit_are_dropped_and_those_around_them_are_not() {
    let limits = Limits { bytes: 1000, depth: 3 };
    let long = "x".repeat(1001);
    let dropped = [
        (format!("${}\r\n{long}\r\n", long.len()).into_bytes(), Excess::Bytes),
        (format!("+{long}{long}\r\n").into_bytes(), Excess::Bytes),
        (format!("-{}\r\n", "x".repeat(70_000)).into_bytes(), Excess::ErrorText),
        (format!("*2\r\n*1\r\n+{long}\r\n+{long}\r\n").into_bytes(), Excess::Bytes),
        (b"*16\r\n".iter().chain(&b":1\r\n".repeat(16)).copied().collect(), Excess::Bytes),
        (b"*1000000000000\r\n".to_vec(), Excess::Bytes),
        (deep(4), Excess::Depth),
        (
            [&b"*3\r\n*2\r\n"[..], &deep(100), b"$2\r\n\r\n\r\n-a\r\n*-1\r\n"].concat(),
            Excess::Depth,
        ),
    ];
    for (reply, why) in dropped {
        let endless = reply.starts_with(b"*1000000000000");
        let stream = [b"+OK\r\n", &reply[..], b"$2\r\nhi\r\n"].concat();
        let mut wanted = vec![whole(Value::Okay)];
        if !endless {
            wanted.extend([Received::Whole(Err(why)), whole(Value::bytes("hi"))]);
        }
        assert!(read_all(&stream, limits) == wanted, "{why:?}, {} bytes", reply.len());
    }
    assert!(matches!(&read_all(&deep(3), limits)[..], [Received::Whole(Ok(_))]));
}

#[test]
fn a_call_has_one_limit_and_its_small_replies_fit_behind_a_large_one() {
    let limits = Limits { bytes: 10, depth: 1 };
    let stream = b"$6\r\naaaaaa\r\n$6\r\nbbbbbb\r\n$4\r\ncccc\r\n:1\r\n-ERR no\r\n$1\r\nd\r\n";
    let wanted = vec![
        whole(Value::bytes("aaaaaa")),
        Received::Whole(Err(Excess::Bytes)),
        whole(Value::bytes("cccc")),
        whole(Value::Int(1)),
        whole(Value::Error(ServerError::new("ERR no"))),
        Received::Whole(Err(Excess::Bytes)),
    ];
    assert!(read_all(stream, limits) == wanted);
    let mut reader = ReplyReader::new(limits);
    let mut input = &b"$6\r\naaaaaa\r\n$6\r\nbbbbbb\r\n"[..];
    assert!(reader.read(&mut input, None) == Ok(Some(whole(Value::bytes("aaaaaa")))));
    reader.begin(6);
    assert!(reader.read(&mut input, None) == Ok(Some(whole(Value::bytes("bbbbbb")))));
}

#[test]
fn replies_of_a_transaction_are_dropped_one_by_one() {
    let stream = [b"*4\r\n:1\r\n$9\r\nxxxxxxxxx\r\n", &deep(2)[..], b"$2\r\nhi\r\n"].concat();
    let limits = Limits { bytes: 80, depth: 1 };
    for step in 1..stream.len() {
        let mut reader = ReplyReader::new(limits);
        let mut replies = stream.chunks(step).filter_map(|mut piece| {
            let reply = reader.read(&mut piece, Some(4)).unwrap();
            assert!(piece.is_empty());
            reply
        });
        let wanted = Received::Each(vec![
            Ok(Value::Int(1)),
            Ok(Value::bytes("xxxxxxxxx")),
            Err(Excess::Depth),
            Ok(Value::bytes("hi")),
        ]);
        assert!(replies.next() == Some(wanted), "cut every {step} bytes");
        assert!(replies.next().is_none());
    }
    // A different number of elements is a single reply.
    let read = ReplyReader::new(WIDE).read(&mut &b"*1\r\n:1\r\n"[..], Some(2));
    assert!(read == Ok(Some(whole(Value::Array(vec![Value::Int(1)])))));
}

#[test]
fn bytes_that_are_no_reply_are_refused_and_cost_nothing() {
    let endless = [b":".to_vec(), b"1".repeat(100)].concat();
    for stream in [
        &b"x\r\n"[..],
        b"\r\n",
        b":\r\n",
        b":+1\r\n",
        b":1x\r\n",
        b"$-2\r\n",
        b"*-2\r\n",
        b"$9223372036854775808\r\n",
        b"$1\r\nab\r\n",
        b"$1\r\na\rb",
        b"_\r\n",
        b"#t\r\n",
        b"%1\r\n",
        b"*1\r\n*9223372036854775807\r\n*9223372036854775807\r\n*9223372036854775807\r\n",
        &endless,
    ] {
        for step in 1..=stream.len() {
            assert!(read(stream, step, WIDE) == Err(Broken), "{}", stream.escape_ascii());
        }
    }
}
