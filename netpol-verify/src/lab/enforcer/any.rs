//! The enforcer that a command line names.

use std::{fmt, path::PathBuf, str::FromStr, time::Duration};

use super::{Enforcer, EnforcerError, External, Iptables, Nftables, Tc};
use crate::lab::{World, fault::Fault};

/// `none`, `nftables`, `ipset`, `tc` or `exec:PATH`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EnforcerSpec {
    /// Nobody enforces.
    None,
    /// The lab's own enforcer by nftables.
    Nftables,
    /// The same by iptables and ipset.
    Ipset,
    /// The same by eBPF programs at the TC hooks.
    Tc,
    /// A program of the user's.
    Exec(PathBuf),
}

/// The enforcer cannot be had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseEnforcerError {
    /// No such enforcer.
    #[error("{0:?} is no enforcer; expected none, nftables, ipset, tc or exec:PATH")]
    Unknown(String),
    /// A fault can be made only where the rules are ours, and some only in one kind of them.
    #[error("fault {fault} can be played by {}, not by {enforcer}", able(*fault))]
    FaultElsewhere {
        /// The fault.
        fault: Fault,
        /// The enforcer asked for.
        enforcer: EnforcerSpec,
    },
}

impl FromStr for EnforcerSpec {
    type Err = ParseEnforcerError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match (text, text.strip_prefix("exec:")) {
            ("none", _) => Ok(Self::None),
            ("nftables", _) => Ok(Self::Nftables),
            ("ipset", _) => Ok(Self::Ipset),
            ("tc", _) => Ok(Self::Tc),
            (_, Some(path)) if !path.is_empty() => Ok(Self::Exec(PathBuf::from(path))),
            _ => Err(ParseEnforcerError::Unknown(text.to_owned())),
        }
    }
}

impl fmt::Display for EnforcerSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("none"),
            Self::Nftables => f.write_str("nftables"),
            Self::Ipset => f.write_str("ipset"),
            Self::Tc => f.write_str("tc"),
            Self::Exec(path) => write!(f, "exec:{}", path.display()),
        }
    }
}

impl EnforcerSpec {
    /// Whether what enforces ends with the process that started it.
    #[must_use]
    pub const fn ends_with_its_process(&self) -> bool {
        matches!(self, Self::Tc | Self::Exec(_))
    }

    /// Makes the enforcer. `limit` is the time that a user's program has for each answer.
    ///
    /// # Errors
    /// When a fault is asked of an enforcer whose rules are not ours.
    pub fn build(&self, fault: Option<Fault>, limit: Duration) -> Result<AnyEnforcer, ParseEnforcerError> {
        if let Some(fault) = fault.filter(|fault| !self.can_have(*fault)) {
            return Err(ParseEnforcerError::FaultElsewhere {
                fault,
                enforcer: self.clone(),
            });
        }
        Ok(match self {
            Self::None => AnyEnforcer::None,
            Self::Nftables => AnyEnforcer::Nftables(Nftables::new(fault)),
            Self::Ipset => AnyEnforcer::Iptables(Iptables::new(fault)),
            Self::Tc => AnyEnforcer::Tc(Tc::new(fault)),
            Self::Exec(program) => AnyEnforcer::External(External::new(program.clone(), limit)),
        })
    }

    /// Whether the enforcer can be wrong in that way.
    #[must_use]
    pub fn can_have(&self, fault: Fault) -> bool {
        match self {
            Self::Nftables => true,
            Self::Ipset | Self::Tc => fault.is_misreading(),
            Self::None | Self::Exec(_) => false,
        }
    }
}

/// The enforcers that can have a fault.
fn able(fault: Fault) -> String {
    let ours = [EnforcerSpec::Nftables, EnforcerSpec::Ipset, EnforcerSpec::Tc];
    let names = ours.iter().filter(|spec| spec.can_have(fault));
    names.map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// An enforcer of any kind.
#[derive(Debug)]
pub enum AnyEnforcer {
    /// Accepts every policy and enforces none, as Flannel does.
    None,
    /// The lab's own by nftables.
    Nftables(Nftables),
    /// The same by iptables and ipset.
    Iptables(Iptables),
    /// The same by eBPF programs at the TC hooks.
    Tc(Tc),
    /// A program of the user's.
    External(External),
}

impl AnyEnforcer {
    /// Starts what must run before it can be told anything; its process number, if it was started now.
    ///
    /// # Errors
    /// A user's program cannot be started.
    pub fn start(&mut self) -> Result<Option<u32>, EnforcerError> {
        match self {
            Self::None | Self::Nftables(_) | Self::Iptables(_) | Self::Tc(_) => Ok(None),
            Self::External(enforcer) => enforcer.start(),
        }
    }

    /// Ends it as a crash does: what it knew is forgotten, and rules stay. A TC program lives as long as somebody holds it, and
    /// agents that use them pin them for that; ours goes on to hold it.
    pub async fn crash(&mut self) {
        match self {
            Self::None | Self::Iptables(_) | Self::Tc(_) => {}
            Self::Nftables(enforcer) => enforcer.forget(),
            Self::External(enforcer) => enforcer.kill().await,
        }
    }

    /// Ends what lives no longer than this process; rules stay as they are.
    ///
    /// # Errors
    /// A user's program does not end.
    pub async fn let_go(&mut self) -> Result<(), EnforcerError> {
        match self {
            Self::None | Self::Nftables(_) | Self::Iptables(_) => Ok(()),
            Self::Tc(enforcer) => {
                enforcer.end();
                Ok(())
            }
            Self::External(enforcer) => enforcer.stop().await,
        }
    }
}

impl Enforcer for AnyEnforcer {
    async fn apply(&mut self, world: &World) -> Result<(), EnforcerError> {
        match self {
            Self::None => Ok(()),
            Self::Nftables(enforcer) => enforcer.apply(world).await,
            Self::Iptables(enforcer) => enforcer.apply(world).await,
            Self::Tc(enforcer) => enforcer.apply(world).await,
            Self::External(enforcer) => enforcer.apply(world).await,
        }
    }

    async fn stop(&mut self) -> Result<(), EnforcerError> {
        match self {
            Self::None => Ok(()),
            Self::Nftables(enforcer) => enforcer.stop().await,
            Self::Iptables(enforcer) => enforcer.stop().await,
            Self::Tc(enforcer) => enforcer.stop().await,
            Self::External(enforcer) => enforcer.stop().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_and_written_alike() {
        for text in [
            "none",
            "nftables",
            "ipset",
            "tc",
            "exec:./deploy/examples/enforcer.py",
        ] {
            assert_eq!(text.parse::<EnforcerSpec>().unwrap().to_string(), text);
        }
        for text in ["", "exec:", "calico", "NFTABLES"] {
            let message = text.parse::<EnforcerSpec>().unwrap_err().to_string();
            assert!(
                message.contains("none, nftables, ipset, tc or exec:PATH"),
                "{message}"
            );
        }
    }

    #[test]
    fn a_fault_needs_our_own_rules_and_one_in_the_rules_those_of_nftables() {
        let program = EnforcerSpec::Exec("/bin/true".into());
        let spec = [
            EnforcerSpec::Nftables,
            EnforcerSpec::Ipset,
            EnforcerSpec::Tc,
            EnforcerSpec::None,
            program,
        ];
        let plays = |id: &str| {
            let fault: Fault = id.parse().unwrap();
            spec.each_ref()
                .map(|spec| spec.build(Some(fault), External::LIMIT).is_ok())
        };
        assert_eq!(plays("no-engine"), [true, false, false, false, false]);
        for misreading in ["first-peer-only", "namedport-any", "stale-after-pod-label"] {
            assert_eq!(
                plays(misreading),
                [true, true, true, false, false],
                "{misreading}"
            );
        }
        let refused = |id: &str, spec: &EnforcerSpec| {
            let fault: Fault = id.parse().unwrap();
            spec.build(Some(fault), External::LIMIT).unwrap_err().to_string()
        };
        assert_eq!(
            refused("no-engine", &EnforcerSpec::Tc),
            "fault no-engine can be played by nftables, not by tc"
        );
        assert_eq!(
            refused("first-peer-only", &EnforcerSpec::None),
            "fault first-peer-only can be played by nftables, ipset, tc, not by none"
        );
    }
}
