//! A cluster of private servers.

use crate::process::{Process, base, free_port, until};
use redis_rest::Client;
use redis_rest::backend::native::{NativeCluster, NativeConfig};
use std::time::Duration;

const SLOTS: usize = 16384;

/// Three masters, and the requested number of replicas.
pub struct Cluster {
    pub nodes: Vec<Process>,
    pub ids: Vec<String>,
}

impl Cluster {
    pub fn start(replicas: usize) -> Option<Self> {
        let nodes = (0..3 + replicas).map(|_| node()).collect::<Option<Vec<_>>>()?;
        let ids: Vec<String> = nodes.iter().map(|(node, _)| node.query("CLUSTER MYID")).collect();
        for (number, (node, _)) in nodes.iter().enumerate() {
            node.query::<()>(&format!("CLUSTER SET-CONFIG-EPOCH {}", number + 1));
            if number < 3 {
                node.query::<()>(&format!(
                    "CLUSTER ADDSLOTSRANGE {} {}",
                    number * SLOTS / 3,
                    (number + 1) * SLOTS / 3 - 1
                ));
            }
            for (other, bus) in &nodes[..number] {
                node.query::<()>(&format!("CLUSTER MEET 127.0.0.1 {} {bus}", other.port));
            }
        }
        let nodes: Vec<Process> = nodes.into_iter().map(|(node, _)| node).collect();
        let cluster = Self { nodes, ids };
        cluster.settle();
        for replica in 3..cluster.nodes.len() {
            cluster.nodes[replica]
                .query::<()>(&format!("CLUSTER REPLICATE {}", cluster.ids[replica - 3]));
        }
        for replica in &cluster.nodes[3..] {
            until("a replica with the data", || {
                replica.query::<String>("INFO replication").contains("master_link_status:up")
            });
        }
        // The other nodes must know the replicas too, to vote.
        until("replicas that all know", || {
            cluster.nodes.iter().all(|node| {
                node.query::<String>("CLUSTER NODES").matches("slave").count() == replicas
            })
        });
        Some(cluster)
    }

    /// Waits until all nodes agree that every slot has a master.
    fn settle(&self) {
        let known = format!("cluster_known_nodes:{}\r", self.nodes.len());
        until("a cluster", || {
            self.nodes.iter().all(|node| {
                let info: String = node.query("CLUSTER INFO");
                info.contains("cluster_state:ok")
                    && info.contains("cluster_slots_ok:16384")
                    && info.contains(&known)
            })
        });
    }

    /// Returns a client that knows the first node and waits through a failover.
    pub async fn client(&self) -> Client {
        let seed = NativeConfig::new(self.nodes[0].url())
            .timeout(Duration::from_secs(20))
            .connect_retries(100);
        Client::from_backend(NativeCluster::connect([seed]).await.expect("a cluster"))
    }

    /// Returns the first master of a key's slot, and the slot.
    pub fn owner(&self, key: &str) -> (usize, usize) {
        let slot: usize = self.nodes[0].query(&format!("CLUSTER KEYSLOT {key}"));
        let has = |&master: &usize| (master * SLOTS / 3..(master + 1) * SLOTS / 3).contains(&slot);
        ((0..3).find(has).expect("every slot has a master"), slot)
    }

    /// Moves a slot key by key, and calls `between` after each.
    pub fn move_slot(&self, slot: usize, from: usize, to: usize, mut between: impl FnMut()) {
        let (source, target) = (&self.nodes[from], &self.nodes[to]);
        target.query::<()>(&format!("CLUSTER SETSLOT {slot} IMPORTING {}", self.ids[from]));
        source.query::<()>(&format!("CLUSTER SETSLOT {slot} MIGRATING {}", self.ids[to]));
        loop {
            let keys: Vec<String> = source.query(&format!("CLUSTER GETKEYSINSLOT {slot} 1"));
            let Some(key) = keys.first() else { break };
            source.query::<String>(&format!("MIGRATE 127.0.0.1 {} {key} 0 5000", target.port));
            between();
        }
        // The new owner first: otherwise a node could redirect to a node that redirects back.
        let others = (0..3).filter(|&node| node != to);
        for node in std::iter::once(to).chain(others) {
            self.nodes[node].query::<()>(&format!("CLUSTER SETSLOT {slot} NODE {}", self.ids[to]));
        }
    }

    /// Returns a key with this tag in a slot of the master with this number.
    pub fn key_on(&self, master: usize, from: usize) -> String {
        (from..)
            .map(|n| format!("key{n}"))
            .find(|key| self.owner(key).0 == master)
            .expect("there are many")
    }
}

/// Starts a node and returns it with its port.
fn node() -> Option<(Process, u16)> {
    let bus = free_port();
    let process = Process::start("Ready to accept connections", |port, dir| {
        let mut arguments = base(dir);
        let words = [
            "--port",
            &port.to_string(),
            "--cluster-enabled",
            "yes",
            "--cluster-port",
            &bus.to_string(),
        ];
        arguments.extend(words.map(str::to_owned));
        let words = [
            "--cluster-node-timeout",
            "1000",
            "--repl-diskless-sync-delay",
            "0",
            "--cluster-replica-validity-factor",
            "0",
        ];
        arguments.extend(words.map(str::to_owned));
        arguments
    })?;
    Some((process, bus))
}
