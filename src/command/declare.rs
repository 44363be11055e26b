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
    /// The first Redis version that has it.
    pub since: &'static str,
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
/// In the brackets `x` is one argument and `..x` is a list of them. `as Set` names the marker type that carries the
/// command's options. The safety is a variant of [`ReplaySafety`], or `ByArguments` where options decide.
macro_rules! commands {
    ($group:literal; $(
        $(#[$meta:meta])*
        fn $name:ident $(<$generic:ident>)? ($($param:ident: $type:ty),* $(,)?) -> $reply:ty $(as $kind:ident)?
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
    (@push $command:ident; ..$arg:ident $(, $($rest:tt)*)?) => {
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
