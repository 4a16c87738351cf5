//! Where we are in a value or a schema, written only when something is to be said about it.

use std::fmt;

/// One step down from a parent.
#[derive(Clone, Copy)]
enum Step<'a> {
    Root,
    Field(&'a str),
    Key(&'a str),
    Index(usize),
}

/// A path as a chain of steps on the stack: nothing is allocated on the way down.
#[derive(Clone, Copy)]
pub(crate) struct Path<'a> {
    parent: Option<&'a Path<'a>>,
    step: Step<'a>,
    depth: usize,
}

impl<'a> Path<'a> {
    pub(crate) const ROOT: Path<'static> = Path { parent: None, step: Step::Root, depth: 0 };

    /// `parent.name`
    pub(crate) fn field(&'a self, name: &'a str) -> Path<'a> {
        self.child(Step::Field(name))
    }

    /// `parent[name]`
    pub(crate) fn key(&'a self, name: &'a str) -> Path<'a> {
        self.child(Step::Key(name))
    }

    /// `parent[3]`
    pub(crate) fn index(&'a self, index: usize) -> Path<'a> {
        self.child(Step::Index(index))
    }

    /// The number of steps from the root.
    pub(crate) fn depth(&self) -> usize {
        self.depth
    }

    fn child(&'a self, step: Step<'a>) -> Path<'a> {
        Path { parent: Some(self), step, depth: self.depth + 1 }
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(parent) = self.parent {
            parent.fmt(f)?;
        }
        let first = self.depth <= 1;
        match self.step {
            Step::Root => Ok(()),
            Step::Field(name) if first => f.write_str(name),
            Step::Field(name) => write!(f, ".{name}"),
            Step::Key(name) => write!(f, "[{name}]"),
            Step::Index(index) => write!(f, "[{index}]"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Path;

    #[test]
    fn paths_are_written_as_kubernetes_writes_them() {
        let spec = Path::ROOT.field("spec");
        let list = spec.field("mounts");
        let third = list.index(3);
        assert_eq!(third.field("name").to_string(), "spec.mounts[3].name");
        assert_eq!(Path::ROOT.field("properties").key("spec").to_string(), "properties[spec]");
        assert_eq!(Path::ROOT.to_string(), "");
    }
}
