//! The declaration of a command: one entry generates the constructor in [`crate::cmd`], the
//! client's method and the row of the documentation's table.

/// Declares commands.
///
/// ```text
/// commands! { "string", "Strings";
///     /// Overwrites a part of the value.
///     fn set_range(key: impl ToArg, offset: u64, value: impl ToArg) -> u64 = "SETRANGE" [key, offset, value], Idempotent, "2.2.0";
///     fn mget<R>(keys: impl ToArgs) -> Vec<Option<R>> = "MGET" [..keys], ReadOnly, "1.0.0";
///     fn set(key: impl ToArg, value: impl ToArg) -> () as Set = "SET" [key, value], ByArguments, "1.0.0";
/// }
/// ```
///
/// The group is that of Redis's documentation and the heading on the page of `Client`. In the
/// brackets `x` is one argument, `..x` is a list of them, `(count x)` a list after its length,
/// `(even x)` a list of pairs, and `(pairs x)` a list of pairs after their number. `as Set` names
/// the struct with the command's options, `by f` the function that reads the reply. The safety is a
/// variant of [`Idempotency`](super::Idempotency), or `ByArguments` if options decide.
///
/// The keys follow from the names of the parameters: see
/// [`Keys::declared`](super::table::Keys::declared). The arity follows from their number, or is
/// given: `"2.6.0" @ -3`. [Flags](super::table::Flags) come last.
macro_rules! commands {
    ($group:literal, $title:literal; $(
        $(#[$meta:meta])*
        fn $name:ident $(<$lifetime:lifetime>)? $(<$generic:ident>)? ($($param:ident: $type:ty),* $(,)?) -> $reply:ty
            $(as $kind:ident)? $(, by $read:path)?
            = $redis:literal [$($arg:tt)*], $safety:ident, $since:literal $(@ $arity:literal)? $(, $flag:ident)*;
    )*) => {
        $(
            $(#[$meta])*
            #[doc = concat!("\n\n`", $redis, "`, since Redis ", $since, ". [Example](self).")]
            $(#[doc = concat!(" Options: [`", stringify!($kind), "`](crate::cmd::", stringify!($kind), ").")])?
            #[doc(alias = $redis)]
            pub fn $name $(<$lifetime>)? $(<$generic: $crate::value::FromValue>)? ($($param: $type),*)
                -> commands!(@type $reply, $crate::command::Unbound $(, $kind)?) {
                #[allow(unused_mut)]
                let mut command = $crate::command::Command::new($redis);
                commands!(@push command; $($arg)*);
                let command = commands!(@safety command $safety);
                commands!(@make $crate::command::Call::read_by(command, commands!(@read $reply $(, $read)?)) $(, $kind)?)
            }
        )*

        #[doc = concat!("# ", $title)]
        impl $crate::client::Client {
            $(
                $(#[$meta])*
                #[doc = concat!("\n\n`", $redis, "`, since Redis ", $since, ". [Example](self).")]
                $(#[doc = concat!(" Options: [`", stringify!($kind), "`](crate::cmd::", stringify!($kind), ").")])?
                #[doc(alias = $redis)]
                pub fn $name $(<$lifetime>)? $(<$generic: $crate::value::FromValue>)? (&self, $($param: $type),*)
                    -> commands!(@type $reply, $crate::client::Bound $(, $kind)?) {
                    $name($($param),*).on(self)
                }
            )*
        }

        pub(crate) static ROWS: &[$crate::command::Row] = &[$(
            $crate::command::Row {
                group: $group,
                command: $redis,
                method: stringify!($name),
                safety: commands!(@row $safety),
                since: $since,
                arity: commands!(@arity $redis [commands!(@parameters []; $($arg)*)] $($kind)?; $($arity)?),
                keys: $crate::command::table::Keys::declared(
                    $redis, commands!(@parameters []; $($arg)*), commands!(@flags $($flag)*),
                ),
                flags: commands!(@flags $($flag)*),
            },
        )*];
    };

    (@type $reply:ty, $executor:ty) => { $crate::command::Call<$reply, $executor> };
    (@type $reply:ty, $executor:ty, $kind:ident) => { $kind<$reply, $executor> };
    (@make $call:expr) => { $call };
    (@make $call:expr, $kind:ident) => { $kind($call) };
    (@read $reply:ty) => { <$reply as $crate::value::FromValue>::from_value };
    (@read $reply:ty, $read:path) => { $read };

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
    (@safety $command:ident $safety:ident) => { $command.with_idempotency($crate::command::Idempotency::$safety) };
    (@parameters [$($done:tt)*];) => { &[$($done)*] };
    (@parameters [$($done:tt)*]; (count $arg:ident) $(, $($rest:tt)*)?) => {
        commands!(@parameters [$($done)* $crate::command::table::Parameter::Counted(stringify!($arg).as_bytes()),]; $($($rest)*)?)
    };
    (@parameters [$($done:tt)*]; (pairs $arg:ident) $(, $($rest:tt)*)?) => {
        commands!(@parameters [$($done)* $crate::command::table::Parameter::CountedPairs(stringify!($arg).as_bytes()),]; $($($rest)*)?)
    };
    (@parameters [$($done:tt)*]; (even $arg:ident) $(, $($rest:tt)*)?) => {
        commands!(@parameters [$($done)* $crate::command::table::Parameter::Pairs(stringify!($arg).as_bytes()),]; $($($rest)*)?)
    };
    (@parameters [$($done:tt)*]; ..$arg:expr $(, $($rest:tt)*)?) => {
        commands!(@parameters [$($done)* $crate::command::table::Parameter::List(stringify!($arg).as_bytes()),]; $($($rest)*)?)
    };
    (@parameters [$($done:tt)*]; $arg:expr $(, $($rest:tt)*)?) => {
        commands!(@parameters [$($done)* $crate::command::table::Parameter::One(stringify!($arg).as_bytes()),]; $($($rest)*)?)
    };
    (@arity $redis:literal [$parameters:expr] $($kind:ident)?; $arity:literal) => { $arity };
    (@arity $redis:literal [$parameters:expr];) => { $crate::command::table::arity($redis, $parameters, false) };
    (@arity $redis:literal [$parameters:expr] $kind:ident;) => { $crate::command::table::arity($redis, $parameters, true) };
    (@flags $($flag:ident)*) => { $crate::command::table::Flags::NONE$(.and($crate::command::table::Flags::$flag))* };
    (@row ByArguments) => { None };
    (@row $safety:ident) => { Some($crate::command::Idempotency::$safety) };
}
pub(crate) use commands;

/// Declares options: arguments that are added at the end, or with `@ n` before the argument at `n`.
///
/// ```text
/// options! { Scan<R>;
///     /// Only names that match this glob pattern.
///     fn match_pattern(pattern: impl ToArg) = "MATCH" [pattern];
/// }
/// options! { Set on ();
///     /// Only if the key does not exist.
///     fn nx() -> bool = "NX" [] by held;
/// }
/// options! { ZAdd on u64;
///     /// Only adds, never moves.
///     fn nx() = "NX" @ 1;
/// }
/// ```
///
/// An option with `->` changes the type of the reply, which is read by the function after `by` if
/// there is one.
macro_rules! options {
    ($kind:ident<$reply:ident>; $($rest:tt)*) => {
        impl<$reply, X> $kind<$reply, X> { options!(@each $kind $($rest)*); }
    };
    ($kind:ident<$generic:ident> on $reply:ty; $($rest:tt)*) => {
        impl<$generic: $crate::value::FromValue, X> $kind<$reply, X> { options!(@each $kind $($rest)*); }
    };
    ($kind:ident on $reply:ty; $($rest:tt)*) => {
        impl<X> $kind<$reply, X> { options!(@each $kind $($rest)*); }
    };
    (@each $kind:ident) => {};
    (@each $kind:ident $(#[$meta:meta])* fn $name:ident($($param:ident: $type:ty),*) = $option:literal [$($arg:tt)*]; $($rest:tt)*) => {
        $(#[$meta])*
        #[doc = concat!("\n\n`", $option, "`.")]
        #[doc(alias = $option)]
        pub fn $name(self, $($param: $type),*) -> Self {
            Self(self.0.map(|command| {
                #[allow(unused_mut)]
                let mut command = command.arg($option);
                $crate::command::declare::commands!(@push command; $($arg)*);
                command
            }))
        }
        options!(@each $kind $($rest)*);
    };
    (@each $kind:ident $(#[$meta:meta])* fn $name:ident($($param:ident: $type:ty),*) = [$($arg:tt)*]; $($rest:tt)*) => {
        $(#[$meta])*
        pub fn $name(self, $($param: $type),*) -> Self {
            Self(self.0.map(|mut command| {
                $crate::command::declare::commands!(@push command; $($arg)*);
                command
            }))
        }
        options!(@each $kind $($rest)*);
    };
    (@each $kind:ident $(#[$meta:meta])* fn $name:ident $(<$generic:ident>)? ($($param:ident: $type:ty),*) -> $reply:ty
        = $option:literal [$($arg:tt)*] $(by $read:path)?; $($rest:tt)*) => {
        $(#[$meta])*
        #[doc = concat!("\n\n`", $option, "`.")]
        #[doc(alias = $option)]
        pub fn $name $(<$generic: $crate::value::FromValue>)? (self, $($param: $type),*) -> $kind<$reply, X> {
            $kind(self.0.map_reply($crate::command::declare::commands!(@read $reply $(, $read)?), |command| {
                #[allow(unused_mut)]
                let mut command = command.arg($option);
                $crate::command::declare::commands!(@push command; $($arg)*);
                command
            }))
        }
        options!(@each $kind $($rest)*);
    };
    (@each $kind:ident $(#[$meta:meta])* fn $name:ident $(<$generic:ident>)? ($($param:ident: $type:ty),*) -> $reply:ty
        = [$($arg:tt)*]; $($rest:tt)*) => {
        $(#[$meta])*
        pub fn $name $(<$generic: $crate::value::FromValue>)? (self, $($param: $type),*) -> $kind<$reply, X> {
            $kind(self.0.map_reply(<$reply as $crate::value::FromValue>::from_value, |mut command| {
                $crate::command::declare::commands!(@push command; $($arg)*);
                command
            }))
        }
        options!(@each $kind $($rest)*);
    };
    (@each $kind:ident $(#[$meta:meta])* fn $name:ident() = $option:literal @ $index:literal; $($rest:tt)*) => {
        $(#[$meta])*
        #[doc = concat!("\n\n`", $option, "`.")]
        #[doc(alias = $option)]
        pub fn $name(self) -> Self {
            Self(self.0.map(|command| command.insert_args($index, [$option.as_bytes()])))
        }
        options!(@each $kind $($rest)*);
    };
    (@each $kind:ident $(#[$meta:meta])* fn $name:ident($param:ident: $type:ident) = $option:literal @ $index:literal; $($rest:tt)*) => {
        $(#[$meta])*
        #[doc = concat!("\n\n`", $option, "`.")]
        #[doc(alias = $option)]
        pub fn $name(self, $param: $type) -> Self {
            let argument = $param.to_string();
            Self(self.0.map(|command| command.insert_args($index, [$option.as_bytes(), argument.as_bytes()])))
        }
        options!(@each $kind $($rest)*);
    };
}
pub(crate) use options;

/// Declares the structs of calls with options, with the reply's type unless options change it.
macro_rules! calls {
    ($($(#[$meta:meta])* $name:ident $(= $reply:ty)?;)*) => {$(
        $(#[$meta])*
        #[must_use = "a call does nothing until it is awaited or added to a pipeline"]
        pub struct $name<R $(= $reply)?, X = $crate::client::Bound>(pub(crate) $crate::command::Call<R, X>);
    )*};
}
pub(crate) use calls;

/// Gives the structs of [`calls`] all methods of [`Call`](crate::Call). Comes last in a file, so
/// that the options come first on the page.
macro_rules! finish {
    ($($name:ident)*) => {$(
        /// # Every call
        impl<R, X> $name<R, X> {
            /// Reads the reply as another type.
            pub fn reading<S: $crate::value::FromValue>(self) -> $name<S, X> {
                $name(self.0.reading())
            }

            /// The same as [`Call::idempotent`](crate::Call::idempotent).
            pub fn idempotent(self) -> Self {
                Self(self.0.idempotent())
            }

            /// Returns the command.
            pub fn command(&self) -> &$crate::command::Command {
                self.0.command()
            }

            /// Returns the command, without its reply type.
            pub fn into_command(self) -> $crate::command::Command {
                self.0.into_command()
            }
        }

        impl<R> $name<R, $crate::command::Unbound> {
            /// Binds the command to a client, which makes it a future.
            pub fn on(self, client: &$crate::client::Client) -> $name<R> {
                $name(self.0.on(client))
            }
        }

        impl<R> $name<R> {
            /// Sets the longest time for one attempt, instead of the client's.
            pub fn timeout(self, limit: std::time::Duration) -> Self {
                Self(self.0.timeout(limit))
            }

            /// Sets the longest time for the call with all its attempts, instead of the client's.
            pub fn deadline(self, limit: std::time::Duration) -> Self {
                Self(self.0.deadline(limit))
            }

            /// The same as [`Call::exactly_once`](crate::Call::exactly_once).
            pub fn exactly_once(self) -> Self {
                Self(self.0.exactly_once())
            }

            /// The same as [`Call::hedge_after`](crate::Call::hedge_after).
            pub fn hedge_after(self, delay: std::time::Duration) -> Self {
                Self(self.0.hedge_after(delay))
            }

            /// Sends the command once, even after a failure.
            pub fn no_retry(self) -> Self {
                Self(self.0.no_retry())
            }
        }

        impl<R> Future for $name<R> {
            type Output = $crate::error::Result<R>;

            fn poll(
                self: std::pin::Pin<&mut Self>,
                context: &mut std::task::Context<'_>,
            ) -> std::task::Poll<Self::Output> {
                std::pin::Pin::new(&mut self.get_mut().0).poll(context)
            }
        }

        impl<R> $crate::command::call::sealed::Sealed for $name<R, $crate::command::Unbound> {}
        impl<R> $crate::command::UnboundCall for $name<R, $crate::command::Unbound> {
            type Reply = R;

            fn into_call(self) -> $crate::command::Call<R, $crate::command::Unbound> {
                self.0
            }
        }

        impl<R> From<$name<R, $crate::command::Unbound>> for $crate::command::Command {
            fn from(call: $name<R, $crate::command::Unbound>) -> Self {
                call.0.command
            }
        }

        impl<R> Clone for $name<R, $crate::command::Unbound> {
            fn clone(&self) -> Self {
                Self(self.0.clone())
            }
        }

        impl<R, X> std::fmt::Debug for $name<R, X> {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }
    )*};
}
pub(crate) use finish;
