//! [`Durability`]: the state of a change of a session.

/// The state of a session's change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Durability {
    /// Executed by the store; or no store is set, and the journal file holds it. Nothing older
    /// undoes it.
    Durable,
    /// The store was not reached: it is executed later. With a journal, the change survives the end
    /// of the process.
    Pending,
    /// The store may have executed it. The change is pending until that is known.
    MaybeApplied,
    /// Another writer's version, written after the one that this change was based on, stands
    /// instead.
    Superseded,
}

impl Durability {
    /// The value of a metric's label.
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Durable => "durable",
            Self::Pending => "pending",
            Self::MaybeApplied => "maybe_applied",
            Self::Superseded => "superseded",
        }
    }
}
