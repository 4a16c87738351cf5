//! Sets of fields, kept as a tree of path elements.

use std::collections::BTreeMap;
use std::fmt;

use crate::path::{Path, PathElement};

/// A set of paths.
///
/// A path and the paths below it are members independently: owning `.spec` does not mean owning `.spec.image`.
/// The root is never a member.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FieldSet {
    /// *Invariant*: no node is [empty](Node::is_empty).
    nodes: BTreeMap<PathElement, Node>,
}

/// What a set says about one element and what is below it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Node {
    pub(crate) member: bool,
    pub(crate) children: FieldSet,
}

impl Node {
    fn is_empty(&self) -> bool {
        !self.member && self.children.is_empty()
    }
}

impl FieldSet {
    /// Whether nothing is in the set.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// Whether exactly this path is a member.
    pub fn contains(&self, path: &Path) -> bool {
        let Some((last, parents)) = path.elements().split_last() else {
            return false;
        };
        let parent = parents.iter().try_fold(self, |set, element| set.node(element).map(|node| &node.children));
        parent.and_then(|set| set.node(last)).is_some_and(|node| node.member)
    }

    /// Adds a path; its parents do not become members. The empty path is ignored.
    pub fn insert(&mut self, path: &Path) {
        let Some((last, parents)) = path.elements().split_last() else {
            return;
        };
        let parent =
            parents.iter().fold(self, |set, element| &mut set.nodes.entry(element.clone()).or_default().children);
        parent.nodes.entry(last.clone()).or_default().member = true;
    }

    /// All members, parents before children.
    pub fn paths(&self) -> Vec<Path> {
        let mut paths = Vec::new();
        self.collect_paths(&mut Path::default(), &mut paths);
        paths
    }

    fn collect_paths(&self, prefix: &mut Path, paths: &mut Vec<Path>) {
        for (element, node) in &self.nodes {
            prefix.descend(element.clone(), |path| {
                if node.member {
                    paths.push(path.clone());
                }
                node.children.collect_paths(path, paths);
            });
        }
    }

    /// What is in either set.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        let mut union = self.clone();
        union.absorb(other);
        union
    }

    fn absorb(&mut self, other: &Self) {
        for (element, theirs) in &other.nodes {
            let node = self.nodes.entry(element.clone()).or_default();
            node.member |= theirs.member;
            node.children.absorb(&theirs.children);
        }
    }

    /// What is in both sets.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        self.filter_map(|element, node| {
            let theirs = other.node(element)?;
            Some(Node { member: node.member && theirs.member, children: node.children.intersection(&theirs.children) })
        })
    }

    /// What is in this set and not in the other. A member of the other leaves what is below it.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Self {
        self.filter_map(|element, node| {
            let Some(theirs) = other.node(element) else {
                return Some(node.clone());
            };
            Some(Node { member: node.member && !theirs.member, children: node.children.difference(&theirs.children) })
        })
    }

    /// What is in this set, and neither in the other nor below one of the other's members.
    #[must_use]
    pub fn recursive_difference(&self, other: &Self) -> Self {
        self.filter_map(|element, node| {
            let Some(theirs) = other.node(element) else {
                return Some(node.clone());
            };
            if theirs.member {
                return None;
            }
            Some(Node { member: node.member, children: node.children.recursive_difference(&theirs.children) })
        })
    }

    /// The members that have no members below them.
    #[must_use]
    pub fn leaves(&self) -> Self {
        self.filter_map(|_, node| {
            Some(Node { member: node.member && node.children.is_empty(), children: node.children.leaves() })
        })
    }

    /// Rebuilds the set from what `keep` makes of its nodes.
    pub(crate) fn filter_map(&self, mut keep: impl FnMut(&PathElement, &Node) -> Option<Node>) -> Self {
        let kept = self.nodes.iter().filter_map(|(element, node)| Some((element.clone(), keep(element, node)?)));
        kept.collect()
    }

    /// What the set says about an element of the root.
    pub(crate) fn node(&self, element: &PathElement) -> Option<&Node> {
        self.nodes.get(element)
    }

    /// The elements of the root and what is below them.
    pub(crate) fn nodes(&self) -> impl Iterator<Item = (&PathElement, &Node)> {
        self.nodes.iter()
    }
}

impl FromIterator<Path> for FieldSet {
    fn from_iter<I: IntoIterator<Item = Path>>(paths: I) -> Self {
        let mut set = Self::default();
        for path in paths {
            set.insert(&path);
        }
        set
    }
}

/// Nodes that are empty are left out, which keeps the invariant.
impl FromIterator<(PathElement, Node)> for FieldSet {
    fn from_iter<I: IntoIterator<Item = (PathElement, Node)>>(nodes: I) -> Self {
        Self { nodes: nodes.into_iter().filter(|(_, node)| !node.is_empty()).collect() }
    }
}

/// One path a line.
impl fmt::Display for FieldSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<_> = self.paths().iter().map(Path::to_string).collect();
        f.write_str(&lines.join("\n"))
    }
}
