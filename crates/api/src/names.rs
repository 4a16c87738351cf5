//! Every name that essaim writes into the outside world: groups, labels, annotations, finalizers, conditions, reasons.
//!
//! Invariant: no other module spells the API group in a string.

/// The API group of the platform's kinds.
pub const GROUP: &str = "essaim.dev";
/// Their version.
pub const VERSION: &str = "v1alpha1";

/// Namespace of essaim's own objects; users cannot read it.
pub const SYSTEM_NAMESPACE: &str = "essaim-system";
/// The Secret in [`SYSTEM_NAMESPACE`] whose `key` signs notebook tokens and gateway sessions.
pub const SITE_KEY_SECRET: &str = "site-key";
/// The `type` of Secrets in [`SYSTEM_NAMESPACE`] that are issued tokens.
pub const TOKEN_SECRET_TYPE: &str = "essaim.dev/token";
/// What the name of such a Secret begins with; the token's id follows.
pub const TOKEN_SECRET_PREFIX: &str = "token-";
/// The Lease in [`SYSTEM_NAMESPACE`] that the acting one of several processes with controllers holds.
pub const CONTROLLERS_LEASE: &str = "essaim-controllers";
/// The ClusterRole that a user holds in the own namespace.
pub const USER_ROLE: &str = "essaim-user";
/// The RoleBinding that gives it.
pub const USER_ROLE_BINDING: &str = "essaim-user";

/// Where the API tells what the controllers remember of their last passes.
pub const RECONCILES_PATH: &str = "/essaim/v1/reconciles";
/// Where the API gives a backup of its store.
pub const BACKUP_PATH: &str = "/essaim/v1/backup";

/// Names that no login may take, because they mean something else as a namespace.
pub const RESERVED_NAMESPACES: [&str; 5] =
    ["default", "kube-system", "kube-public", "kube-node-lease", SYSTEM_NAMESPACE];

/// Holds a NotebookServer until its service and secrets are gone from the Swarm.
pub const FINALIZER: &str = "essaim.dev/swarm-service";

/// Labels of Swarm services and secrets. Service labels never restart a container; container labels would.
pub mod label {
    /// Marks everything essaim made; nothing without it is ever touched.
    pub const MANAGED_BY: &str = "essaim.dev/managed-by";
    /// The value of [`MANAGED_BY`].
    pub const MANAGER: &str = "essaim";
    /// uid of the owning object.
    pub const OWNER_UID: &str = "essaim.dev/owner-uid";
    /// Namespace of the owning object.
    pub const OWNER_NAMESPACE: &str = "essaim.dev/owner-namespace";
    /// Name of the owning object.
    pub const OWNER_NAME: &str = "essaim.dev/owner-name";
    /// Generation of the owner that the service was last made from.
    pub const GENERATION: &str = "essaim.dev/generation";
    /// Hash of the part of the service whose change restarts the container.
    pub const SPEC_HASH: &str = "essaim.dev/spec-hash";
    /// The owner's `spec.restartedAt` that this container satisfies.
    pub const RESTARTED_AT: &str = "essaim.dev/restarted-at";
    /// How often the container was started again after a failure.
    pub const RESTARTS: &str = "essaim.dev/restarts";
}

/// Types of conditions in `status.conditions`.
pub mod condition {
    /// A machine was found and the container is there.
    pub const SCHEDULED: &str = "Scheduled";
    /// Jupyter answers.
    pub const READY: &str = "Ready";
    /// The server was stopped and keeps its definition.
    pub const SUSPENDED: &str = "Suspended";
    /// The specification changed in a way that needs a restart, which was not asked for yet.
    pub const RESTART_PENDING: &str = "RestartPending";
}

/// Reasons of conditions and Events.
pub mod reason {
    /// Jupyter answered the probe.
    pub const SERVING: &str = "Serving";
    /// The container runs; Jupyter does not answer yet.
    pub const STARTING: &str = "Starting";
    /// The Swarm prepares the container.
    pub const PREPARING: &str = "Preparing";
    /// The service was just asked for.
    pub const CREATING: &str = "Creating";
    /// No machine fits.
    pub const NO_MACHINE_FITS: &str = "NoMachineFits";
    /// The task has a machine.
    pub const ASSIGNED: &str = "Assigned";
    /// The class does not exist.
    pub const CLASS_NOT_FOUND: &str = "ClassNotFound";
    /// The specification contradicts its class.
    pub const INVALID_SPEC: &str = "InvalidSpec";
    /// The directory does not know the login.
    pub const UNKNOWN_LOGIN: &str = "UnknownLogin";
    /// The directory did not answer.
    pub const DIRECTORY_UNAVAILABLE: &str = "DirectoryUnavailable";
    /// The Swarm refused the service.
    pub const REFUSED: &str = "Refused";
    /// The image is not to be had.
    pub const IMAGE_UNAVAILABLE: &str = "ImageUnavailable";
    /// A mount's source is missing on the machine.
    pub const MOUNT_MISSING: &str = "MountMissing";
    /// The container ended with an error.
    pub const CONTAINER_FAILED: &str = "ContainerFailed";
    /// The container is being started again.
    pub const RESTARTING: &str = "Restarting";
    /// The machine does not answer the Swarm.
    pub const NODE_UNREACHABLE: &str = "NodeUnreachable";
    /// The Swarm manager does not answer.
    pub const SWARM_UNREACHABLE: &str = "SwarmUnreachable";
    /// No Swarm is configured.
    pub const SWARM_OFF: &str = "SwarmOff";
    /// Jupyter ran and stopped answering.
    pub const NOT_ANSWERING: &str = "NotAnswering";
    /// A service of that name exists and is not ours.
    pub const NAME_TAKEN: &str = "NameTaken";
    /// Suspended by whoever wrote `spec.suspend`.
    pub const SUSPENDED_BY_REQUEST: &str = "SuspendedByRequest";
    /// Suspended because its user chose *Shut Down* in Jupyter.
    pub const SHUT_DOWN_IN_JUPYTER: &str = "ShutDownInJupyter";
    /// The container is being stopped.
    pub const STOPPING: &str = "Stopping";
    /// Not suspended.
    pub const RUNNING: &str = "Running";
    /// The container is as the specification says.
    pub const UP_TO_DATE: &str = "UpToDate";
    /// The specification is newer than the container.
    pub const SPEC_CHANGED: &str = "SpecChanged";
}

/// Field managers: one per controller.
pub mod field_manager {
    /// Writes the status of NotebookServers, and `spec.suspend` when Jupyter was shut down.
    pub const NOTEBOOK_SERVER: &str = "essaim-notebookserver";
    /// Writes users' namespaces and role bindings.
    pub const NAMESPACE: &str = "essaim-namespace";
    /// Writes the objects of a first start.
    pub const BOOTSTRAP: &str = "essaim-bootstrap";
}
