//! Rules for documents and examples: they move with the code.

use std::fs;

use crate::error::Error;
use crate::repository;

pub(super) fn findings() -> Result<Vec<String>, Error> {
    let mut findings = in_the_architecture()?;
    findings.extend(examples()?);
    Ok(findings)
}

/// Every crate and every design page is named in `docs/architecture.md`.
fn in_the_architecture() -> Result<Vec<String>, Error> {
    let root = repository::root();
    let page = root.join("docs/architecture.md");
    let text = fs::read_to_string(&page).map_err(Error::file("read", &page))?;
    let crates = root.join("crates");
    let mut names = Vec::new();
    for entry in fs::read_dir(&crates).map_err(Error::file("list", &crates))? {
        let entry = entry.map_err(Error::file("list", &crates))?;
        names.push(format!("crates/{}", entry.file_name().to_string_lossy()));
    }
    for page in repository::files(&root.join("docs/design"), ".md")? {
        let name = page.file_name().unwrap_or_default().to_string_lossy().into_owned();
        names.push(format!("design/{name}"));
    }
    let missing =
        names.into_iter().filter(|name| !text.contains(&format!("{name}`")) && !text.contains(&format!("{name})")));
    Ok(missing.map(|name| format!("docs/architecture.md does not name {name}")).collect())
}

/// Every example manifest is used by a test or by the demo.
fn examples() -> Result<Vec<String>, Error> {
    let root = repository::root();
    let mut users = String::new();
    for folder in ["tests", "xtask"] {
        for path in repository::files(&root.join(folder), ".rs")? {
            users.push_str(&fs::read_to_string(&path).map_err(Error::file("read", &path))?);
        }
    }
    users.push_str(&fs::read_to_string(root.join("README.md")).unwrap_or_default());
    let mut findings = Vec::new();
    for path in repository::files(&root.join("examples"), ".yaml")? {
        let name = path.strip_prefix(&root).unwrap_or(&path).display().to_string();
        let folder = name.rsplit_once('/').map_or(name.as_str(), |(folder, _)| folder);
        if !users.contains(&name) && !users.contains(&format!("{folder}/")) {
            findings.push(format!("{name} is an example that no test uses"));
        }
    }
    Ok(findings)
}
