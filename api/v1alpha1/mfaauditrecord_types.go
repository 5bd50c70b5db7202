package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// Labels of an MFAAuditRecord, for kubectl get -l.
const (
	// LabelAuditDay is the day, in UTC, of the batch's first record, as
	// 2006-01-02.
	LabelAuditDay = "audit.security.neosc.io/day"
	// LabelAuditFailures is true or false: whether a record of the batch is a
	// failure.
	LabelAuditFailures = "audit.security.neosc.io/failures"
	// LabelAuditActionPrefix begins the label, with an empty value, that a batch
	// has for each action in it, such as audit.security.neosc.io/UserLocked.
	LabelAuditActionPrefix = "audit.security.neosc.io/"
)

// MFAAuditRecordSpec is one batch of a ledger: records in order, bound to
// everything before them by a hash.
type MFAAuditRecordSpec struct {
	// ledger is the UID of the namespace's MFALedger.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	Ledger string `json:"ledger,omitempty"`

	// sequence is the batch's place in the ledger: 1, 2, 3 and so on. It is in
	// the object's name too.
	// +required
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=999999999999
	Sequence int64 `json:"sequence,omitempty"`

	// writer names the process that appended the batch.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Writer string `json:"writer,omitempty"`

	// nonce is random. With writer it tells a process that does not know how its
	// write ended whether it won.
	// +required
	// +kubebuilder:validation:MinLength=16
	// +kubebuilder:validation:MaxLength=64
	Nonce string `json:"nonce,omitempty"`

	// previousHash is the hash of the batch before. That of the first batch is
	// made of ledger.
	// +required
	// +kubebuilder:validation:MinLength=64
	// +kubebuilder:validation:MaxLength=64
	PreviousHash string `json:"previousHash,omitempty"`

	// hash is the SHA-256, in hexadecimal, of this batch and previousHash.
	// +required
	// +kubebuilder:validation:MinLength=64
	// +kubebuilder:validation:MaxLength=64
	Hash string `json:"hash,omitempty"`

	// summary sums the records up, for lists.
	// +required
	Summary AuditSummary `json:"summary,omitzero"`

	// records are what happened, in order, each a JSON object in a string. In
	// one piece they cost the API server a fraction of the time and memory that
	// they would as objects; docs/reference/audit.md lists their fields.
	// +required
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=2048
	// +kubebuilder:validation:items:MinLength=2
	// +kubebuilder:validation:items:MaxLength=262144
	Records []string `json:"records,omitempty"`
}

// AuditSummary sums up the records of a batch.
type AuditSummary struct {
	// from is the time of the first record.
	// +required
	From metav1.MicroTime `json:"from,omitzero"` //nolint:kubeapilinter // Its zero value is left out, and so refused.

	// records counts the records.
	// +required
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=2048
	Records int32 `json:"records,omitempty"`

	// failures counts the records whose outcome is not Succeeded. Unset: none.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=2048
	Failures int32 `json:"failures,omitempty"`

	// actions lists the actions of the records, each once, in alphabetical
	// order, separated by commas.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=2048
	Actions string `json:"actions,omitempty"`
}

// MFAAuditRecord is one batch of a namespace's audit ledger. It never changes.
// Its name is ledger-<sequence>, with twelve digits, so that names sort in the
// order things happened. Only the operator creates and removes batches. They are
// not in the category neosc: there may be thousands.
//
// +kubebuilder:object:root=true
// +kubebuilder:validation:XValidation:rule="self.metadata.name.matches('^ledger-[0-9]{12}$') && int(self.metadata.name.substring(7)) == self.spec.sequence",message="metadata.name must be ledger- and spec.sequence in twelve digits"
// +kubebuilder:validation:XValidation:rule="self.spec == oldSelf.spec",message="an audit record never changes",fieldPath=".spec"
// +kubebuilder:resource:shortName=mfaaudit
// +kubebuilder:printcolumn:name="Seq",type=integer,JSONPath=`.spec.sequence`
// +kubebuilder:printcolumn:name="From",type=string,JSONPath=`.spec.summary.from`
// +kubebuilder:printcolumn:name="Records",type=integer,JSONPath=`.spec.summary.records`
// +kubebuilder:printcolumn:name="Failures",type=integer,JSONPath=`.spec.summary.failures`
// +kubebuilder:printcolumn:name="Actions",type=string,JSONPath=`.spec.summary.actions`
// +kubebuilder:printcolumn:name="Writer",type=string,JSONPath=`.spec.writer`
// +kubebuilder:printcolumn:name="Hash",type=string,priority=1,JSONPath=`.spec.hash`
type MFAAuditRecord struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard object metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// spec is what happened.
	// +required
	Spec MFAAuditRecordSpec `json:"spec,omitzero"`
}

// MFAAuditRecordList is a list of batches.
//
// +kubebuilder:object:root=true
type MFAAuditRecordList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []MFAAuditRecord `json:"items"`
}
