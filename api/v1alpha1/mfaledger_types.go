package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// LedgerName is the name of the one MFALedger of a namespace.
const LedgerName = "ledger"

// MFALedgerSpec says how much of the ledger is kept in the cluster.
type MFALedgerSpec struct {
	// retention bounds what is kept. Unset: the operator's defaults.
	// +optional
	// +default={}
	Retention LedgerRetention `json:"retention,omitzero"`
}

// LedgerRetention bounds what is kept in the cluster, whichever bound is
// reached first. What is younger than five minutes, not yet in a checkpoint, or
// not yet taken by the configured sink is kept in any case.
type LedgerRetention struct {
	// maxAgeDays is how old a batch may become. Unset: 30.
	// +optional
	// +default=30
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=3650
	MaxAgeDays int32 `json:"maxAgeDays,omitempty"`

	// maxMebibytes is how much all batches together may take, as JSON. Unset: 64.
	// +optional
	// +default=64
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1024
	MaxMebibytes int32 `json:"maxMebibytes,omitempty"`
}

// LedgerPoint is a place in a ledger.
type LedgerPoint struct {
	// sequence is that of a batch; 0 is the start of the ledger.
	// +optional
	Sequence int64 `json:"sequence"`

	// hash is that of the batch, so that what follows can be checked.
	// +optional
	Hash string `json:"hash,omitempty"`

	// time is that of the batch's last record. Unset: at the start.
	// +optional
	Time metav1.MicroTime `json:"time,omitzero"`

	// bytes is about how much all batches up to this one took, as JSON.
	// +optional
	Bytes int64 `json:"bytes,omitempty"`
}

// LedgerCheckpoint says which snapshot holds the state up to a batch.
type LedgerCheckpoint struct {
	LedgerPoint `json:",inline"`

	// parts counts the MFALedgerSnapshots the state is kept in.
	// +optional
	Parts int32 `json:"parts,omitempty"`

	// digest is the SHA-256, in hexadecimal, of the snapshots' data in order.
	// +optional
	Digest string `json:"digest,omitempty"`
}

// MFALedgerStatus is where the ledger stands. The operator writes it; to change
// floor or checkpoint by hand is to lose or fork the ledger.
type MFALedgerStatus struct {
	// observedGeneration is the generation of the spec this status speaks of.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// conditions sum up the ledger; see the reasons of each type.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +patchMergeKey=type
	// +patchStrategy=merge
	Conditions []metav1.Condition `json:"conditions,omitempty" patchStrategy:"merge" patchMergeKey:"type"`

	// floor is the last batch that is removed or about to be. Its name is never
	// used again; the batch after it follows its hash.
	// +optional
	Floor LedgerPoint `json:"floor,omitzero"`

	// checkpoint says where readers start. Unset: at the first batch.
	// +optional
	Checkpoint *LedgerCheckpoint `json:"checkpoint,omitempty"`

	// removed is the last batch known to be removed: the floor, once retention
	// has caught up with it.
	// +optional
	Removed int64 `json:"removed,omitempty"`

	// marks are places the floor may be raised to, from old to new.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=128
	Marks []LedgerPoint `json:"marks,omitempty"` //nolint:kubeapilinter // Nobody writes them by hand.

	// exported is the last batch the sink has taken. Unset: there is no sink, or
	// it has taken nothing yet.
	// +optional
	Exported *LedgerPoint `json:"exported,omitempty"`

	// head is the last batch, as of the last look.
	// +optional
	Head LedgerPoint `json:"head,omitzero"`

	// bytes is about how much the batches that are kept take, as JSON, as of the
	// last look.
	// +optional
	Bytes int64 `json:"bytes,omitempty"`
}

// MFALedger stands for the audit ledger of a namespace: the MFAAuditRecords in
// it. The operator creates it before the first batch; its UID is in every batch.
//
// +kubebuilder:object:root=true
// +kubebuilder:validation:XValidation:rule="self.metadata.name == 'ledger'",message="a namespace has one MFALedger, named ledger"
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=mfaledger,categories=neosc
// +kubebuilder:printcolumn:name="Head",type=integer,JSONPath=`.status.head.sequence`
// +kubebuilder:printcolumn:name="Floor",type=integer,JSONPath=`.status.floor.sequence`
// +kubebuilder:printcolumn:name="Exported",type=integer,JSONPath=`.status.exported.sequence`
// +kubebuilder:printcolumn:name="Bytes",type=integer,JSONPath=`.status.bytes`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Message",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Ready")].message`
type MFALedger struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard object metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// spec says how much is kept.
	// +optional
	// +default={}
	Spec MFALedgerSpec `json:"spec,omitzero"`

	// status is where the ledger stands.
	// +default={"observedGeneration":-1}
	// +optional
	Status MFALedgerStatus `json:"status,omitzero"`
}

// MFALedgerList is a list of ledgers.
//
// +kubebuilder:object:root=true
type MFALedgerList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []MFALedger `json:"items"`
}

// MFALedgerSnapshotSpec is one part of a ledger's state as of a batch.
type MFALedgerSnapshotSpec struct {
	// sequence is that of the batch.
	// +required
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=999999999999
	Sequence int64 `json:"sequence,omitempty"`

	// part counts from 0.
	// +required
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=9999
	Part *int32 `json:"part,omitempty"`

	// data is this part of the state: gzip of JSON lines, cut into pieces.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1048576
	Data []byte `json:"data,omitempty"`
}

// MFALedgerSnapshot is one part of a ledger's state, from which a reader starts
// instead of at the first batch. It never changes. Only the operator creates
// and removes snapshots; status.checkpoint of the MFALedger names those in use.
//
// +kubebuilder:object:root=true
// +kubebuilder:validation:XValidation:rule="self.spec == oldSelf.spec",message="a snapshot never changes",fieldPath=".spec"
// +kubebuilder:resource:shortName=mfasnap
// +kubebuilder:printcolumn:name="Seq",type=integer,JSONPath=`.spec.sequence`
// +kubebuilder:printcolumn:name="Part",type=integer,JSONPath=`.spec.part`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type MFALedgerSnapshot struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard object metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// spec is the part.
	// +required
	Spec MFALedgerSnapshotSpec `json:"spec,omitzero"`
}

// MFALedgerSnapshotList is a list of snapshots.
//
// +kubebuilder:object:root=true
type MFALedgerSnapshotList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []MFALedgerSnapshot `json:"items"`
}
