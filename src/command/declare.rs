//! The declaration of a command: one entry makes the constructor in [`crate::cmd`], the client's method and the row of the
//! documentation's table.

use super::ReplaySafety;

/// One declared command, for the table in the documentation.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Row {
    /// The group of Redis's documentation.
    pub group: &'static str,
    /// Redis's name, such as `SCRIPT LOAD`.
    pub command: &'static str,
    /// The method of [`Client`](crate::Client) and the function of [`cmd`](mod@crate::cmd).
    pub method: &'static str,
    /// What sending it twice would do. `None` where that depends on the arguments.
    pub safety: Option<ReplaySafety>,
    /// The first Redis version that has it; `JSON` for the module, `Upstash` for that vendor's own.
    pub since: &'static str,
}

impl Row {
    /// Where its arguments and replies are documented.
    pub fn url(&self) -> String {
        let name = self.command.to_ascii_lowercase().replace(' ', "-");
        match self.since {
            "Upstash" => "https://upstash.com/docs/redis/overall/rediscompatibility".into(),
            _ => format!("https://redis.io/docs/latest/commands/{name}/"),
        }
    }
}

/// Declares commands.
///
/// ```text
/// commands! { "string";
///     /// What it does, in one line.
///     fn set_range(key: impl ToArg, offset: u64, value: impl ToArg) -> u64 = "SETRANGE" [key, offset, value], Idempotent, "2.2.0";
///     fn mget<R>(keys: impl ToArgs) -> Vec<Option<R>> = "MGET" [..keys], ReadOnly, "1.0.0";
///     fn set(key: impl ToArg, value: impl ToArg) -> () as Set = "SET" [key, value], ByArguments, "1.0.0";
/// }
/// ```
///
/// In the brackets `x` is one argument, `..x` is a list of them, `(count x)` a list after its length, `(even x)` a list of pairs,
/// and `(pairs x)` a list of pairs after their number. `as Set` names the marker type that carries the command's options. The safety is a variant of [`ReplaySafety`], or `ByArguments` where options decide.
macro_rules! commands {
    ($group:literal; $(
        $(#[$meta:meta])*
        fn $name:ident $(<$generic:tt>)? ($($param:ident: $type:ty),* $(,)?) -> $reply:ty $(as $kind:ident)?
            = $redis:literal [$($arg:tt)*], $safety:ident, $since:literal;
    )*) => {
        $(
            $(#[$meta])*
            #[doc = concat!("\n\n`", $redis, "`, since Redis ", $since, ".")]
            pub fn $name $(<$generic>)? ($($param: $type),*) -> $crate::command::Typed<$reply, commands!(@kind $($kind)?)> {
                #[allow(unused_mut)]
                let mut command = $crate::command::Command::new($redis);
                commands!(@push command; $($arg)*);
                $crate::command::Typed::new(commands!(@safety command $safety))
            }
        )*

        impl $crate::client::Client {
            $(
                $(#[$meta])*
                #[doc = concat!("\n\n`", $redis, "`, since Redis ", $since, ".")]
                pub fn $name $(<$generic>)? (&self, $($param: $type),*)
                    -> $crate::command::Typed<$reply, commands!(@kind $($kind)?), $crate::client::Client> {
                    $name($($param),*).on(self)
                }
            )*
        }

        pub(crate) const ROWS: &[$crate::command::Row] = &[$(
            $crate::command::Row {
                group: $group,
                command: $redis,
                method: stringify!($name),
                safety: commands!(@row $safety),
                since: $since,
            },
        )*];
    };

    (@kind) => { $crate::command::Plain };
    (@kind $kind:ident) => { $kind };

    (@push $command:ident;) => {};
    (@push $command:ident; (count $arg:ident) $(, $($rest:tt)*)?) => {
        $command.push_counted($arg, 1);
        $(commands!(@push $command; $($rest)*);)?
    };
    (@push $command:ident; (pairs $arg:ident) $(, $($rest:tt)*)?) => {
        $command.push_counted($arg, 2);
        $(commands!(@push $command; $($rest)*);)?
    };
    (@push $command:ident; (even $arg:ident) $(, $($rest:tt)*)?) => {
        $command.push_pairs($arg);
        $(commands!(@push $command; $($rest)*);)?
    };
    (@push $command:ident; ..$arg:expr $(, $($rest:tt)*)?) => {
        $command.push_all($arg);
        $(commands!(@push $command; $($rest)*);)?
    };
    (@push $command:ident; $arg:expr $(, $($rest:tt)*)?) => {
        $command.push($arg);
        $(commands!(@push $command; $($rest)*);)?
    };

    (@safety $command:ident ByArguments) => { $command };
    (@safety $command:ident $safety:ident) => { $command.with_safety($crate::command::ReplaySafety::$safety) };
    (@row ByArguments) => { None };
    (@row $safety:ident) => { Some($crate::command::ReplaySafety::$safety) };
}
pub(crate) use commands;

/// Declares options: arguments that are added at the end, or with `@ n` before the argument at `n`.
///
/// ```text
/// options! { Scan<R>;
///     /// Only names that match this glob pattern.
///     fn pattern(pattern: impl ToArg) = "MATCH" [pattern];
///     /// With its score.
///     fn with_score() -> Option<(R, f64)> = "WITHSCORE" [];
/// }
/// options! { ZAdd on u64;
///     /// Only adds, never moves.
///     fn nx() = "NX" @ 1;
/// }
/// ```
macro_rules! options {
    ($kind:ident<$reply:ident>; $($rest:tt)*) => {
        impl<$reply, X> $crate::command::Typed<$reply, $kind, X> { options!(@each $kind $($rest)*); }
    };
    ($kind:ident<$generic:ident> on $reply:ty; $($rest:tt)*) => {
        impl<$generic, X> $crate::command::Typed<$reply, $kind, X> { options!(@each $kind $($rest)*); }
    };
    ($kind:ident on $reply:ty; $($rest:tt)*) => {
        impl<X> $crate::command::Typed<$reply, $kind, X> { options!(@each $kind $($rest)*); }
    };
    (@each $kind:ident) => {};
    (@each $kind:ident $(#[$meta:meta])* fn $name:ident($($param:ident: $type:ty),*) = $option:literal [$($arg:tt)*]; $($rest:tt)*) => {
        $(#[$meta])*
        #[doc = concat!("\n\n`", $option, "`.")]
        pub fn $name(self, $($param: $type),*) -> Self {
            self.with(|command| {
                #[allow(unused_mut)]
                let mut command = command.arg($option);
                $crate::command::declare::commands!(@push command; $($arg)*);
                command
            })
        }
        options!(@each $kind $($rest)*);
    };
    (@each $kind:ident $(#[$meta:meta])* fn $name:ident $(<$generic:ident>)? ($($param:ident: $type:ty),*) -> $reply:ty
        = $option:literal [$($arg:tt)*]; $($rest:tt)*) => {
        $(#[$meta])*
        #[doc = concat!("\n\n`", $option, "`.")]
        pub fn $name $(<$generic>)? (self, $($param: $type),*) -> $crate::command::Typed<$reply, $kind, X> {
            self.with(|command| {
                #[allow(unused_mut)]
                let mut command = command.arg($option);
                $crate::command::declare::commands!(@push command; $($arg)*);
                command
            })
        }
        options!(@each $kind $($rest)*);
    };
    (@each $kind:ident $(#[$meta:meta])* fn $name:ident $(<$generic:ident>)? ($($param:ident: $type:ty),*) -> $reply:ty
        = [$($arg:tt)*]; $($rest:tt)*) => {
        $(#[$meta])*
        pub fn $name $(<$generic>)? (self, $($param: $type),*) -> $crate::command::Typed<$reply, $kind, X> {
            self.with(|mut command| {
                $crate::command::declare::commands!(@push command; $($arg)*);
                command
            })
        }
        options!(@each $kind $($rest)*);
    };
    (@each $kind:ident $(#[$meta:meta])* fn $name:ident() = $option:literal @ $index:literal; $($rest:tt)*) => {
        $(#[$meta])*
        #[doc = concat!("\n\n`", $option, "`.")]
        pub fn $name(self) -> Self {
            self.with(|command| command.insert_args($index, [$option.as_bytes()]))
        }
        options!(@each $kind $($rest)*);
    };
    (@each $kind:ident $(#[$meta:meta])* fn $name:ident($param:ident: $type:ident) = $option:literal @ $index:literal; $($rest:tt)*) => {
        $(#[$meta])*
        #[doc = concat!("\n\n`", $option, "`.")]
        pub fn $name(self, $param: $type) -> Self {
            self.with(|command| command.insert_args($index, [$option.as_bytes(), $param.to_string().as_bytes()]))
        }
        options!(@each $kind $($rest)*);
    };
}
pub(crate) use options;

/// A marker type for the options of a command.
macro_rules! markers {
    ($($(#[$meta:meta])* $name:ident)*) => {$(
        $(#[$meta])*
        #[derive(Clone, Copy, Debug)]
        pub struct $name;
    )*};
}
pub(crate) use markers;
