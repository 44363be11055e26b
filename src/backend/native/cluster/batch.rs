//! Pipelines, split by node, and transactions, on one slot.

use super::slots::{self, Address, Place};
use super::{Course, NativeCluster, pack, within};
use crate::backend::{Backend as _, Reply};
use crate::command::Command;
use crate::error::{Error, ErrorKind, Outcome, Result};
use std::collections::BTreeMap;
use tokio::task::JoinSet;

/// The commands of a pipeline that go to one node, and their places in it.
#[derive(Default)]
struct Part {
    places: Vec<usize>,
    packed: pack::Batch,
}

impl NativeCluster {
    pub(super) async fn run_pipeline(&self, commands: &[Command], course: Course) -> Vec<Reply> {
        let mut replies: Vec<Option<Reply>> = commands.iter().map(|_| None).collect();
        let mut parts: BTreeMap<Address, Part> = BTreeMap::new();
        // Ensures that the map is loaded.
        if let Err(error) = self.owner(None, course.deadline).await {
            return commands.iter().map(|_| Err(error.clone())).collect();
        }
        for (place, command) in commands.iter().enumerate() {
            let slot = match slots::place(command) {
                Ok(Place::Slot(slot)) => slot,
                // Run after the others.
                Ok(Place::Any | Place::All) => continue,
                Err(error) => {
                    replies[place] = Some(Err(error));
                    continue;
                }
            };
            let address = self.0.map.lock().node(slot).cloned();
            if let Some(address) = address {
                let part = parts.entry(address).or_default();
                match part.packed.push(command, self.0.config.max_request_bytes) {
                    Ok(()) => part.places.push(place),
                    Err(error) => replies[place] = Some(Err(error)),
                }
            }
        }
        let mut sending = JoinSet::new();
        for (address, part) in parts {
            match self.node(&address) {
                Ok(node) => {
                    let options = within(course.deadline);
                    sending.spawn(async move {
                        let answers = node.exchange(part.packed.into_request(), &options).await;
                        let answers = answers.map(|answers| {
                            let replies = answers.into_iter().map(|reply| node.reply(Some(reply)));
                            replies.collect::<Vec<_>>()
                        });
                        (part.places, answers)
                    });
                }
                Err(error) => {
                    part.places.iter().for_each(|&place| replies[place] = Some(Err(error.clone())))
                }
            }
        }
        while let Some(sent) = sending.join_next().await {
            // A task that panicked leaves its places unchanged, which means that its commands may
            // have run.
            let Ok((places, answers)) = sent else { continue };
            match answers {
                Ok(answers) => places
                    .into_iter()
                    .zip(answers)
                    .for_each(|(place, answer)| replies[place] = Some(answer)),
                Err(error) => {
                    places.into_iter().for_each(|place| replies[place] = Some(Err(error.clone())))
                }
            }
        }
        self.run_the_rest(commands, replies, &course).await
    }

    /// Runs individually the commands that have no single node, and those that were not run on
    /// their node.
    async fn run_the_rest(
        &self,
        commands: &[Command],
        replies: Vec<Option<Reply>>,
        course: &Course,
    ) -> Vec<Reply> {
        let mut all = Vec::with_capacity(commands.len());
        for (command, reply) in commands.iter().zip(replies) {
            let course = Course { redirects: 0, attempts: 0, ..*course };
            all.push(match reply {
                Some(Err(error)) if error.is_connect() || slots::redirect(&error, "").is_some() => {
                    self.run_placed(command, course).await
                }
                Some(reply) => reply,
                None => match slots::place(command) {
                    Ok(Place::Any | Place::All) => self.run_placed(command, course).await,
                    _ => Err(Error::new(ErrorKind::Io, "this command of the pipeline was lost")
                        .with_outcome(Outcome::MaybeApplied)),
                },
            });
        }
        all
    }

    pub(super) async fn run_transaction(
        &self,
        commands: &[Command],
        mut course: Course,
    ) -> Result<Vec<Reply>> {
        let mut slot = None;
        for command in commands {
            match (slots::place(command)?, slot) {
                (Place::Slot(this), Some(other)) if this != other => {
                    return Err(Error::new(
                        ErrorKind::Unsupported,
                        "a transaction on a cluster must keep to the keys of one slot",
                    ));
                }
                (Place::Slot(this), _) => slot = Some(this),
                (Place::Any, _) => {}
                (Place::All, _) => {
                    return Err(Error::new(
                        ErrorKind::Unsupported,
                        "a transaction on a cluster cannot hold a command for all nodes",
                    ));
                }
            }
        }
        let mut next = None;
        loop {
            let node = match next.take() {
                Some((node, false)) => node,
                // `ASKING` applies to a single command, and a transaction is several: it waits
                // until the slot has moved.
                Some((_, true)) | None => self.owner(slot, course.deadline).await?,
            };
            let error = match node.transaction(commands, &within(course.deadline)).await {
                Ok(replies) => return Ok(replies),
                Err(error) => error,
            };
            next = match error.redis_code() {
                Some("ASK") => self.pause(error, 0, &course).await?,
                _ => self.after(error, &node, slot, &mut course).await?,
            };
        }
    }
}
