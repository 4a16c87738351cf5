//! Where the manager listens.

use std::path::PathBuf;

/// Docker's own default.
pub(crate) const DEFAULT: &str = "unix:///var/run/docker.sock";

/// A URL of a manager that cannot be used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadUrl {
    /// Nothing that we know how to reach.
    #[error("{url:?} is no address of a Swarm manager: unix:///path, tcp://host:port and http://host:port are")]
    UnknownForm {
        /// What was given.
        url: String,
    },
    /// A form that Docker's own tools take and essaim does not.
    #[error(
        "{url:?}: essaim does not speak {scheme} to a Swarm manager; use unix:///path on the manager, or tcp://host:port"
    )]
    Unsupported {
        /// What was given.
        url: String,
        /// Its first part.
        scheme: String,
    },
}

/// A manager's address, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Url {
    /// A socket in the file system.
    Unix(PathBuf),
    /// `host:port`, spoken to in plain HTTP.
    Tcp(String),
}

impl Url {
    pub(crate) fn parse(url: &str) -> Result<Self, BadUrl> {
        let unknown = || BadUrl::UnknownForm { url: url.to_owned() };
        let (scheme, rest) = url.split_once("://").ok_or_else(unknown)?;
        match scheme {
            "unix" if rest.starts_with('/') => Ok(Url::Unix(PathBuf::from(rest))),
            "tcp" | "http" => {
                let authority = rest.trim_end_matches('/');
                let (host, port) = authority.rsplit_once(':').ok_or_else(unknown)?;
                let well_formed = !host.is_empty() && !authority.contains('/') && port.parse::<u16>().is_ok();
                if well_formed { Ok(Url::Tcp(authority.to_owned())) } else { Err(unknown()) }
            }
            "https" | "ssh" | "npipe" => Err(BadUrl::Unsupported { url: url.to_owned(), scheme: scheme.to_owned() }),
            _ => Err(unknown()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_forms_are_understood() {
        assert_eq!(Url::parse(DEFAULT), Ok(Url::Unix("/var/run/docker.sock".into())));
        assert_eq!(Url::parse("tcp://10.0.0.7:2375"), Ok(Url::Tcp("10.0.0.7:2375".into())));
        assert_eq!(Url::parse("http://manager:2375/"), Ok(Url::Tcp("manager:2375".into())));
    }

    #[test]
    fn other_forms_are_refused_by_name() {
        for url in
            ["", "manager", "unix://relative", "tcp://manager", "tcp://:2375", "tcp://a:b", "tcp://a:1/x", "ftp://a:1"]
        {
            assert!(matches!(Url::parse(url), Err(BadUrl::UnknownForm { .. })), "{url}");
        }
        let refused = Url::parse("ssh://manager").unwrap_err().to_string();
        assert!(refused.contains("does not speak ssh"), "{refused}");
    }
}
