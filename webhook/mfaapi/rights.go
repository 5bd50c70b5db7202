package mfaapi

// What the rooms need that verify on behalf of this one: the ledger, which is
// appended to and read, and the Secrets with the keys, each by its name. RBAC can
// name no object for create, so whoever installs this creates them empty. The
// credentials lie in Secrets of the users' namespaces: the right to those is
// given namespace by namespace (config/localusers/credentials_role.yaml), never
// here.
//
// +kubebuilder:rbac:groups=security.neosc.io,resources=mfaauditrecords,verbs=get;list;watch;create;delete
// +kubebuilder:rbac:groups=security.neosc.io,resources=mfaledgers,verbs=get;create
// +kubebuilder:rbac:groups=security.neosc.io,resources=mfaledgersnapshots,verbs=get
// +kubebuilder:rbac:groups="",resources=secrets,resourceNames=mfa-sealing-keys;mfa-session-keys,verbs=get;list;watch;update,namespace=neosc-system
