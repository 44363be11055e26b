//! Users and their permissions.
//!
//! ```
//! use redis_rest::cmd::{acl_setuser, acl_whoami};
//! let reader = acl_setuser("reader", ["on", ">a-long-password", "~session:*", "+@read"]);
//! let me = acl_whoami();
//! # let _ = (reader, me);
//! ```

use crate::command::declare::{calls, commands, finish, options};
use crate::command::{ToArg, ToArgs};
use crate::value::Value;
use std::collections::HashMap;

calls! {
    /// The option of `ACL CAT`: [`category`](AclCat::category).
    AclCat = Vec<String>;
    /// The option of `ACL LOG`: [`count`](AclLog::count).
    AclLog = Vec<HashMap<String, Value>>;
    /// The option of `ACL GENPASS`: [`bits`](AclGenpass::bits).
    AclGenpass = String;
    /// The option of `ACL GENTOKEN`: [`password`](AclGentoken::password).
    AclGentoken = String;
}

commands! { "acl", "Users";
    /// Returns the categories of commands.
    fn acl_cat() -> Vec<String> as AclCat = "ACL CAT" [], ReadOnly, "6.0.0";
    /// Removes users; returns how many.
    fn acl_deluser(users: impl ToArgs) -> u64 = "ACL DELUSER" [..users], NonIdempotent, "6.0.0";
    /// Returns `OK` if a user may run a command, or the reason why not.
    fn acl_dryrun(user: impl ToArg, command: impl ToArgs) -> String = "ACL DRYRUN" [user, ..command], ReadOnly, "7.0.0";
    /// Returns a new password, of 256 bits by default.
    fn acl_genpass() -> String as AclGenpass = "ACL GENPASS" [], ReadOnly, "6.0.0";
    /// Returns a new token, with which REST requests run as this user.
    fn acl_gentoken(user: impl ToArg) -> String as AclGentoken = "ACL GENTOKEN" [user], NonIdempotent, "Upstash";
    /// Returns the rights of a user, as Redis lists them; nil if there is no such user.
    fn acl_getuser(user: impl ToArg) -> Option<HashMap<String, Value>> = "ACL GETUSER" [user], ReadOnly, "6.0.0";
    /// Returns the users, as lines of rules.
    fn acl_list() -> Vec<String> = "ACL LIST" [], ReadOnly, "6.0.0";
    /// Reads the users from the server's file.
    fn acl_load() -> () = "ACL LOAD" [], NonIdempotent, "6.0.0";
    /// Returns the log of refused commands, as Redis lists it.
    fn acl_log() -> Vec<HashMap<String, Value>> as AclLog = "ACL LOG" [], ReadOnly, "6.0.0", SUBCOMMANDS;
    /// Empties the log of refused commands.
    fn acl_log_reset() -> () = "ACL LOG RESET" [], NonIdempotent, "6.0.0";
    /// Returns a token, with which REST requests run as this user.
    fn acl_resttoken(user: impl ToArg, password: impl ToArg) -> String = "ACL RESTTOKEN" [user, password], ReadOnly, "Upstash";
    /// Writes the users to the server's file.
    fn acl_save() -> () = "ACL SAVE" [], NonIdempotent, "6.0.0";
    /// Creates a user, or changes its permissions by rules such as `on`, `>password`, `~cache:*`,
    /// `+@read`.
    fn acl_setuser(user: impl ToArg, rules: impl ToArgs) -> () = "ACL SETUSER" [user, ..rules], NonIdempotent, "6.0.0" @ -3, SECRET;
    /// Returns the names of the users.
    fn acl_users() -> Vec<String> = "ACL USERS" [], ReadOnly, "6.0.0";
    /// Returns the name of the user of these requests.
    fn acl_whoami() -> String = "ACL WHOAMI" [], ReadOnly, "6.0.0";
}

options! { AclCat on Vec<String>;
    /// Returns the commands of one category.
    fn category(name: &str) -> Vec<String> = [name];
}

options! { AclLog on Vec<HashMap<String, Value>>;
    /// Returns at most `count`.
    fn count(count: u64) -> Vec<HashMap<String, Value>> = [count];
}

options! { AclGenpass on String;
    /// Sets the number of bits.
    fn bits(count: u64) -> String = [count];
}

options! { AclGentoken on String;
    /// Passes the password of the user.
    fn password(password: impl ToArg) -> String = [password];
}

finish! { AclCat AclLog AclGenpass AclGentoken }
