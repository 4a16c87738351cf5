//! The gateway between real sockets: a client here, an API in the process, a notebook server on a port of its own.

mod access;
mod api;
mod forwarding;
mod notebook;
mod pages;
mod site;
mod websockets;
