//! Who a login is: uid, gid, groups, home
