//! Mount templates: `/pbs/home/{initial}/{login}`, and one `/sps/{group}` for each group.

use essaim_backend::directory::Account;

/// The paths that a pair of templates stands for: one, or one per group where `{group}` occurs.
///
/// Errors: the name of a placeholder that does not exist.
pub fn expand(source: &str, target: &str, account: &Account) -> Result<Vec<(String, String)>, String> {
    if !source.contains("{group}") && !target.contains("{group}") {
        return Ok(vec![(fill(source, account, None)?, fill(target, account, None)?)]);
    }
    let groups = account.groups.iter().map(|group| group.name.as_str());
    groups.map(|group| Ok((fill(source, account, Some(group))?, fill(target, account, Some(group))?))).collect()
}

fn fill(template: &str, account: &Account, group: Option<&str>) -> Result<String, String> {
    let mut filled = String::with_capacity(template.len());
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        let (placeholder, tail) =
            after.split_once('}').ok_or_else(|| format!("{template:?} has a {{ without its }}"))?;
        filled.push_str(before);
        filled.push_str(
            &value(placeholder, account, group)
                .ok_or_else(|| format!("{template:?} names {{{placeholder}}}, which does not exist"))?,
        );
        rest = tail;
    }
    filled.push_str(rest);
    Ok(filled)
}

fn value(placeholder: &str, account: &Account, group: Option<&str>) -> Option<String> {
    Some(match placeholder {
        "login" => account.login.clone(),
        "initial" => account.login.chars().next()?.to_string(),
        "uid" => account.uid.to_string(),
        "gid" => account.gid.to_string(),
        "home" => account.home.clone(),
        "group" => group?.to_owned(),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use essaim_backend::directory::Group;

    use super::*;

    fn account() -> Account {
        let groups = vec![Group { name: "atlas".into(), gid: 5100 }, Group { name: "cms".into(), gid: 5200 }];
        Account { login: "user01".into(), uid: 5001, gid: 5100, groups, home: "/pbs/home/u/user01".into() }
    }

    #[test]
    fn n3_home_by_initial_and_one_mount_per_group() {
        let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        assert_eq!(
            expand("/data{home}", "/pbs/home/{initial}/{login}", &account()),
            Ok(vec![pair("/data/pbs/home/u/user01", "/pbs/home/u/user01")])
        );
        assert_eq!(
            expand("/x/{group}", "/sps/{group}", &account()),
            Ok(vec![pair("/x/atlas", "/sps/atlas"), pair("/x/cms", "/sps/cms")])
        );
    }

    #[test]
    fn an_unknown_placeholder_is_named() {
        assert_eq!(
            expand("/{nobody}", "/x", &account()),
            Err(r#""/{nobody}" names {nobody}, which does not exist"#.into())
        );
        assert_eq!(expand("/{login", "/x", &account()), Err(r#""/{login" has a { without its }"#.into()));
    }
}
