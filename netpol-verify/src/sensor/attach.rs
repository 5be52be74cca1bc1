//! The classifiers on a pod's own interface: by TCX at the head, by clsact where the kernel has no TCX.

use std::fmt;

use aya::{
    programs::{
        LinkOrder, SchedClassifier, TcAttachType,
        links::FdLink,
        tc::{self, NlOptions, SchedClassifierLink, TcAttachOptions},
    },
    util::KernelVersion,
};
use netpol_verify_ebpf::settings::name;

use super::{
    inside::{InsideError, OpenNetns},
    object::{LoadError, Object},
};
use crate::net::Ifindex;

/// How classifiers are attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attachment {
    /// TCX links, first in line (Linux 6.6): they die with the process.
    Tcx,
    /// clsact filters on the pod side; removed when the sensor stops, but not when it is killed.
    Clsact,
}

impl fmt::Display for Attachment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcx => "tcx",
            Self::Clsact => "clsact",
        })
    }
}

/// An interface could not be watched.
#[derive(Debug, thiserror::Error)]
pub enum AttachError {
    /// Its network namespace cannot be entered.
    #[error(transparent)]
    Inside(#[from] InsideError),
    /// The object lacks a program.
    #[error(transparent)]
    Object(#[from] LoadError),
    /// The kernel refused.
    #[error("attaching {program} to {ifname} in {netns}: {source}")]
    Refused {
        /// The program.
        program: &'static str,
        /// The interface.
        ifname: String,
        /// Its namespace.
        netns: String,
        /// Why.
        source: Box<aya::programs::ProgramError>,
    },
    /// The interface went, or another bears its name by now.
    #[error(
        "attaching to {ifname} in {netns}: the interface is gone or has another name by now; it is looked for again"
    )]
    Moved {
        /// The interface.
        ifname: String,
        /// Its namespace.
        netns: String,
    },
    /// The clsact qdisc could not be made.
    #[error("adding the clsact qdisc to {ifname} in {netns}: {source}")]
    Clsact {
        /// The interface.
        ifname: String,
        /// Its namespace.
        netns: String,
        /// Why.
        source: Box<tc::TcError>,
    },
}

impl Attachment {
    /// The best that this kernel can do.
    #[must_use]
    pub fn of_kernel() -> Self {
        match KernelVersion::current() {
            Ok(version) if version >= KernelVersion::new(6, 6, 0) => Self::Tcx,
            _ => Self::Clsact,
        }
    }

    fn options(self) -> TcAttachOptions {
        match self {
            // Cilium's programs end the chain, so whoever observes must be first (netobserv/netobserv-ebpf-agent#822).
            Self::Tcx => TcAttachOptions::TcxOrder(LinkOrder::first()),
            Self::Clsact => TcAttachOptions::Netlink(NlOptions {
                priority: 1,
                ..NlOptions::default()
            }),
        }
    }
}

/// A watched interface; dropping it ends the watch.
pub struct Attached {
    netns: OpenNetns,
    links: Vec<SchedClassifierLink>,
    attachment: Attachment,
}

impl Attached {
    /// Attaches both classifiers to an interface inside a network namespace.
    ///
    /// # Errors
    /// The namespace cannot be entered, or the kernel refuses.
    pub fn new(
        object: &mut Object,
        netns: &OpenNetns,
        ifname: &str,
        ifindex: Ifindex,
        attachment: Attachment,
    ) -> Result<Self, AttachError> {
        let attached = Self::by_name(object, netns, ifname, attachment);
        // Attaching goes by name, and names change hands: what was refused or attached may not be what was looked at.
        match netns.enter(|| nix::net::if_::if_nametoindex(ifname))? {
            Ok(index) if index == ifindex.0 => attached,
            _ => Err(AttachError::Moved {
                ifname: ifname.to_owned(),
                netns: netns.path().name(),
            }),
        }
    }

    fn by_name(
        object: &mut Object,
        netns: &OpenNetns,
        ifname: &str,
        attachment: Attachment,
    ) -> Result<Self, AttachError> {
        let name = || netns.path().name();
        let mut attached = Self {
            netns: netns.clone(),
            links: Vec::new(),
            attachment,
        };
        if attachment == Attachment::Clsact {
            // Somebody else's clsact serves as well: the error says that it exists.
            match netns.enter(|| tc::qdisc_add_clsact(ifname))? {
                Err(source) if !source.to_string().contains("exists") => {
                    return Err(AttachError::Clsact {
                        ifname: ifname.to_owned(),
                        netns: name(),
                        source: Box::new(source),
                    });
                }
                _ => {}
            }
        }
        for (program, direction) in [
            (name::POD_EGRESS, TcAttachType::Egress),
            (name::POD_INGRESS, TcAttachType::Ingress),
        ] {
            let classifier = object.classifier(program)?;
            let link = netns.enter(|| attach(classifier, ifname, direction, attachment))?;
            attached.links.push(link.map_err(|source| AttachError::Refused {
                program,
                ifname: ifname.to_owned(),
                netns: name(),
                source: Box::new(source),
            })?);
        }
        Ok(attached)
    }
}

fn attach(
    classifier: &mut SchedClassifier,
    ifname: &str,
    direction: TcAttachType,
    attachment: Attachment,
) -> Result<SchedClassifierLink, aya::programs::ProgramError> {
    let id = classifier.attach_with_options(ifname, direction, attachment.options())?;
    classifier.take_link(id)
}

impl Drop for Attached {
    fn drop(&mut self) {
        let links = std::mem::take(&mut self.links);
        match self.attachment {
            Attachment::Tcx => drop::<Vec<SchedClassifierLink>>(links),
            // A filter is removed by netlink, which speaks of the namespace it is spoken in.
            Attachment::Clsact => {
                if let Err(error) = self.netns.enter(move || drop(links)) {
                    tracing::debug!(netns = %self.netns.path().name(), %error, "The namespace was gone before its filters.");
                }
            }
        }
    }
}

/// TCX links are file descriptors; this names the type so that a change in aya shows here.
const _: fn(SchedClassifierLink) -> Result<FdLink, aya::programs::links::LinkError> = |link| link.try_into();
