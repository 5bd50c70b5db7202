package v1alpha1

// Finalizer keeps an object until what it left at the identity provider has
// been dealt with.
const Finalizer = "security.neosc.io/finalizer"

// Labels of the MFAUsers that discovery makes.
const (
	// LabelDiscovered has the name of the ZitadelConnection.
	LabelDiscovered = "security.neosc.io/discovered-by"
	// LabelOrganization has the id of the user's organization, if it can be a
	// label.
	LabelOrganization = "security.neosc.io/organization"
)

// AnnotationAcceptLockout on a SecurityPolicy makes admission accept that
// nobody could sign in any more. Its value is the reason, and must not be empty.
const AnnotationAcceptLockout = "security.neosc.io/accept-lockout"

// FinalizerDoorbell keeps a ZitadelConnection while there may be a doorbell of
// its at the instance, though not for long where that cannot be removed.
const FinalizerDoorbell = "security.neosc.io/doorbell"

// Condition types. Every kind has Ready; kubectl wait and Flux need no
// rules of their own to read it.
const (
	// ConditionReady sums up the object.
	//
	// SecurityPolicy: every target is as the spec wants it.
	//
	//	True   InForce, AuditOnly, Disabled
	//	False  Progressing, PartlyInForce, any reason of Accepted, any failure reason
	//
	// ZitadelConnection: the credentials work.
	//
	//	True   Connected
	//	False  SecretNotFound, SecretInvalid, InsecureNotAllowed, InUse, any failure reason
	//
	// MFALedger: what happened is all there, and no more is kept than should be.
	//
	//	True     LedgerInOrder
	//	False    LedgerBroken, LedgerFull, SinkFailing, RetentionBehind
	//	Unknown  LedgerUnavailable
	//
	// MFAUser: the person was found, and the status says how things stand.
	//
	//	True   Observed, Resolved
	//	False  UserNotFound, UserAmbiguous, NamespaceNotAllowed,
	//	       ConnectionNotFound, ConnectionNotReady, LedgerBroken,
	//	       any failure reason
	//
	// MFAExemption: it is honoured.
	//
	//	True   Granted
	//	False  Expired, ExpiryTooFar, PolicyNotFound
	//
	// MFAReset: it has done what the spec says.
	//
	//	True   Completed, AlreadyDone
	//	False  Progressing, UserNotReady, ResetFailed, GaveUp
	ConditionReady = "Ready"

	// ConditionFactorsKnown tells whether all factors of an MFAUser could be
	// read. While it is False, recovery codes, passwords and links to external
	// identity providers are not known, and status.factors has the rest; of a local
	// user, only the names and makes of factors are not known.
	//
	//	True   Readable
	//	False  FactorsPermissionMissing, CredentialsForbidden, LedgerLost
	ConditionFactorsKnown = "FactorsKnown"

	// ConditionSessionsKnown tells whether the sessions of an MFAUser could be
	// read.
	//
	//	True   Readable
	//	False  SessionsPermissionMissing
	ConditionSessionsKnown = "SessionsKnown"

	// ConditionSuspensionApplied tells whether what spec.suspended of an MFAUser of
	// Zitadel says was done. Present only while it is set.
	//
	//	True   Suspended, NotSuspended
	//	False  any failure reason
	ConditionSuspensionApplied = "SuspensionApplied"

	// ConditionAccepted tells whether a SecurityPolicy may be and can be acted
	// on.
	//
	//	True   Accepted
	//	False  NamespaceNotAllowed, ConnectionNotFound, OrganizationNotFound,
	//	       ClaimInvalid, NoMethodLeft, SettingsRejected
	ConditionAccepted = "Accepted"

	// ConditionOverridden tells that other policies won in some field at some
	// target; status.targets[].overridden has them. Present only while it is
	// True.
	//
	//	True   StricterPolicy, HigherPrecedence
	ConditionOverridden = "Overridden"

	// ConditionDriftDetected tells that somebody else changed in Zitadel what
	// the policy had put in force, and names the last who did. Absent when that
	// never happened.
	//
	//	True   DriftNotRepaired, ContestedBy
	//	False  DriftRepaired
	ConditionDriftDetected = "DriftDetected"

	// ConditionEnforcementLimited tells that Zitadel cannot do literally what
	// the object says. Present only while it is True.
	//
	// SecurityPolicy:
	//
	//	True   NotEveryLogin
	//
	// MFAExemption:
	//
	//	True   ZitadelCannotExempt
	ConditionEnforcementLimited = "EnforcementLimited"

	// ConditionStalled tells that only a change by somebody can help. Present
	// only while it is True, with the reason of Ready.
	ConditionStalled = "Stalled"

	// ConditionCredentialExpiring warns that a connection's key or token ends
	// soon. Absent when the end is not known.
	//
	//	True   ExpiresWithin30Days, ExpiresWithin14Days, ExpiresWithin3Days, Expired
	//	False  NotExpiring
	ConditionCredentialExpiring = "CredentialExpiring"

	// ConditionEventsFollowed tells whether changes that others make at a
	// connection's instance are noticed from its event log. Absent until the
	// connection was Ready once. While it is False they are noticed by the next
	// full comparison.
	//
	//	True   Following
	//	False  EventsPermissionMissing, EventsNotHandled, any failure reason
	ConditionEventsFollowed = "EventsFollowed"

	// ConditionDoorbellReady tells whether the instance rings when settings are
	// changed, so that they are noticed at once. Present only while the webhook
	// is enabled, and afterwards until what was made for it is removed. While it
	// is not True, changes are noticed by the next look at the event log.
	//
	//	True     DoorbellInPlace
	//	False    DoorbellURLDenied, DoorbellPermissionMissing,
	//	         DoorbellExecutionTaken, DoorbellNotInstalled, any failure reason
	//	Unknown  DoorbellPending
	ConditionDoorbellReady = "DoorbellReady"

	// ConditionUsersDiscovered tells whether every human user of the organizations
	// in spec.discovery has an MFAUser. Present only while there is such a spec.
	//
	//	True     Discovered
	//	False    Discovering, DiscoveryNameTaken, DiscoveryNamespaceMissing,
	//	         NamespaceNotAllowed, OrganizationNotFound, any failure reason
	//	Unknown  CensusIncomplete
	ConditionUsersDiscovered = "UsersDiscovered"
)

// Reasons of a SecurityPolicy.
const (
	// ReasonInForce: every target holds what the policy wants.
	ReasonInForce = "InForce"
	// ReasonAuditOnly: the mode is Audit; nothing is written, and
	// status.targets[].pending shows what would be.
	ReasonAuditOnly = "AuditOnly"
	// ReasonDisabled: enabled is false; what stood before is back in force.
	ReasonDisabled = "Disabled"
	// ReasonProgressing: targets are still being worked on.
	ReasonProgressing = "Progressing"
	// ReasonPartlyInForce: some targets are in force and others failed for
	// different reasons; status.targets has one for each.
	ReasonPartlyInForce = "PartlyInForce"

	// ReasonAccepted: every target may be and can be acted on.
	ReasonAccepted = "Accepted"
	// ReasonNamespaceNotAllowed: no access rule of the connection lets this
	// namespace target this scope.
	ReasonNamespaceNotAllowed = "NamespaceNotAllowed"
	// ReasonConnectionNotFound: there is no ZitadelConnection of that name.
	ReasonConnectionNotFound = "ConnectionNotFound"
	// ReasonConnectionNotReady: the ZitadelConnection is not Ready.
	ReasonConnectionNotReady = "ConnectionNotReady"
	// ReasonOrganizationNotFound: the selector matches no organization.
	ReasonOrganizationNotFound = "OrganizationNotFound"
	// ReasonClaimInvalid: the ConfigMap that keeps what stood before at a
	// target cannot be read.
	ReasonClaimInvalid = "ClaimInvalid"
	// ReasonNoMethodLeft: the policies at a target would force MFA and leave no
	// method to satisfy it, or allow no method in common.
	ReasonNoMethodLeft = "NoMethodLeft"

	// ReasonSuspended: the user is locked, and locked again if somebody unlocks
	// them.
	ReasonSuspended = "Suspended"
	// ReasonNotSuspended: the user was unlocked.
	ReasonNotSuspended = "NotSuspended"
	// ReasonDiscovered: every user has an MFAUser.
	ReasonDiscovered = "Discovered"
	// ReasonDiscovering: MFAUsers are being made.
	ReasonDiscovering = "Discovering"
	// ReasonDiscoveryNameTaken: MFAUsers that somebody else made have names that
	// discovery would give.
	ReasonDiscoveryNameTaken = "DiscoveryNameTaken"
	// ReasonDiscoveryNamespaceMissing: the namespace is not there, or is being
	// deleted.
	ReasonDiscoveryNamespaceMissing = "DiscoveryNamespaceMissing"
	// ReasonCensusIncomplete: the users of the instance have not been counted
	// yet.
	ReasonCensusIncomplete = "CensusIncomplete"

	// ReasonStricterPolicy: another policy asks for a stricter value.
	ReasonStricterPolicy = "StricterPolicy"
	// ReasonHigherPrecedence: another policy has a higher priority, or is older,
	// or is nearer to the target, in a field where no value is stricter.
	ReasonHigherPrecedence = "HigherPrecedence"

	// ReasonDriftRepaired: what somebody changed has been put right.
	ReasonDriftRepaired = "DriftRepaired"
	// ReasonDriftNotRepaired: what somebody changed could not be put right yet.
	ReasonDriftNotRepaired = "DriftNotRepaired"
	// ReasonNotRecorded: what was done is not in the audit ledger yet, and nothing
	// more is done before it is. Retried.
	ReasonNotRecorded = "NotRecorded"
	// ReasonContestedBy: somebody changes it back again and again; the policy
	// backs off.
	ReasonContestedBy = "ContestedBy"

	// ReasonNotEveryLogin: Zitadel has no setting for "at every login".
	ReasonNotEveryLogin = "NotEveryLogin"
)

// Reasons of a ZitadelConnection.
const (
	// ReasonConnected: the server accepts the credentials.
	ReasonConnected = "Connected"
	// ReasonSecretNotFound: the Secret, or its key, does not exist or may not
	// be read.
	ReasonSecretNotFound = "SecretNotFound"
	// ReasonSecretInvalid: the Secret's value is not a usable credential.
	ReasonSecretInvalid = "SecretInvalid"
	// ReasonInsecureNotAllowed: plain HTTP to a host that is not loopback.
	ReasonInsecureNotAllowed = "InsecureNotAllowed"
	// ReasonInUse: deletion waits for the policies that still have something
	// to put back through this connection.
	ReasonInUse = "InUse"

	// ReasonNotExpiring: the credential is good for more than 30 days.
	ReasonNotExpiring = "NotExpiring"
	// ReasonExpiresWithin30Days to ReasonExpired: time to rotate.
	ReasonExpiresWithin30Days = "ExpiresWithin30Days"
	ReasonExpiresWithin14Days = "ExpiresWithin14Days"
	ReasonExpiresWithin3Days  = "ExpiresWithin3Days"
	// ReasonExpired is also that of an MFAExemption that has come to its end.
	ReasonExpired = "Expired"

	// ReasonFollowing: the event log is read up to its end, and what it says has
	// been acted on.
	ReasonFollowing = "Following"
	// ReasonEventsPermissionMissing: the account lacks the permission
	// events.read.
	ReasonEventsPermissionMissing = "EventsPermissionMissing"
	// ReasonEventsNotHandled: events were read, and acting on them failed. They
	// are tried again.
	ReasonEventsNotHandled = "EventsNotHandled"

	// ReasonDoorbellPending: the doorbell is being made, or removed.
	ReasonDoorbellPending = "DoorbellPending"
	// ReasonDoorbellInPlace: Zitadel rings on every change of settings.
	ReasonDoorbellInPlace = "DoorbellInPlace"
	// ReasonDoorbellURLDenied: Zitadel will not call the URL.
	ReasonDoorbellURLDenied = "DoorbellURLDenied"
	// ReasonDoorbellPermissionMissing: the account may not write targets and
	// executions.
	ReasonDoorbellPermissionMissing = "DoorbellPermissionMissing"
	// ReasonDoorbellExecutionTaken: on some events somebody else is called, and
	// Zitadel has room for one execution only.
	ReasonDoorbellExecutionTaken = "DoorbellExecutionTaken"
	// ReasonDoorbellNotInstalled: the Secret or the Lease of the doorbell is
	// missing in the operator's namespace.
	ReasonDoorbellNotInstalled = "DoorbellNotInstalled"
)

// Reasons of an MFALedger.
const (
	// ReasonLedgerInOrder: the chain holds, and no more is kept than should be.
	ReasonLedgerInOrder = "LedgerInOrder"
	// ReasonLedgerBroken: batches are missing or have been changed. Nothing is
	// recorded, so nothing is accepted.
	ReasonLedgerBroken = "LedgerBroken"
	// ReasonLedgerFull: twice as much is held as should be kept. Nothing is
	// recorded, so nothing is accepted, until there is room.
	ReasonLedgerFull = "LedgerFull"
	// ReasonSinkFailing: a sink does not take the records, so they cannot be
	// removed. Retried.
	ReasonSinkFailing = "SinkFailing"
	// ReasonRetentionBehind: more is held than should be kept, since records come
	// faster than they may be removed.
	ReasonRetentionBehind = "RetentionBehind"
	// ReasonLedgerUnavailable: the ledger could not be looked at. Retried.
	ReasonLedgerUnavailable = "LedgerUnavailable"
)

// Reasons of an MFAUser.
const (
	// ReasonObserved: the person was found in Zitadel and their state was read.
	ReasonObserved = "Observed"
	// ReasonResolved: the effective policy of a local user is known.
	ReasonResolved = "Resolved"
	// ReasonUserNotFound: no human user matches the reference, or none that may
	// be seen.
	ReasonUserNotFound = "UserNotFound"
	// ReasonUserAmbiguous: several users match the reference.
	ReasonUserAmbiguous = "UserAmbiguous"
	// ReasonReadable: it could be read.
	ReasonReadable = "Readable"
	// ReasonFactorsPermissionMissing: the account may not list the methods of
	// users.
	ReasonFactorsPermissionMissing = "FactorsPermissionMissing"
	// ReasonCredentialsForbidden: the manager may not read the Secret with a local
	// user's credentials, which has the names of factors. It needs no right to it
	// for anything else.
	ReasonCredentialsForbidden = "CredentialsForbidden"
	// ReasonLedgerLost: a local user's factors were enrolled by a ledger that is
	// gone, and count no more. Until an administrator makes them an enrolment link
	// or resets them, they can neither sign in nor enrol.
	ReasonLedgerLost = "LedgerLost"
	// ReasonSessionsPermissionMissing: the account may not list the sessions of
	// users.
	ReasonSessionsPermissionMissing = "SessionsPermissionMissing"
)

// Reasons of an MFAExemption.
const (
	// ReasonGranted: the exemption is honoured until it expires.
	ReasonGranted = "Granted"
	// ReasonExpiryTooFar: expiresAt is more than 90 days after the exemption was
	// made, so it is not honoured.
	ReasonExpiryTooFar = "ExpiryTooFar"
	// ReasonPolicyNotFound: there is no such SecurityPolicy in the namespace.
	ReasonPolicyNotFound = "PolicyNotFound"
	// ReasonZitadelCannotExempt: Zitadel has no exemption for one user, and goes
	// on asking.
	ReasonZitadelCannotExempt = "ZitadelCannotExempt"
)

// Reasons of an MFAReset.
const (
	// ReasonCompleted: the factors are gone, and the sessions.
	ReasonCompleted = "Completed"
	// ReasonAlreadyDone: another object with this name and spec has run for this
	// user before; nothing was done now.
	ReasonAlreadyDone = "AlreadyDone"
	// ReasonUserNotReady: there is no such MFAUser, or it is not Ready.
	ReasonUserNotReady = "UserNotReady"
	// ReasonResetFailed: something is left; status.factors says what.
	ReasonResetFailed = "ResetFailed"
	// ReasonGaveUp: it could not be done within a day after it was made.
	ReasonGaveUp = "GaveUp"
)

// Failure reasons, shared by every kind that talks to Zitadel.
const (
	// ReasonZitadelUnreachable: no connection, or the server says it is
	// unavailable. Retried with growing pauses.
	ReasonZitadelUnreachable = "ZitadelUnreachable"
	// ReasonZitadelTimedOut: no answer within spec.timeoutSeconds. Retried.
	ReasonZitadelTimedOut = "ZitadelTimedOut"
	// ReasonZitadelRateLimited: too many requests. Retried.
	ReasonZitadelRateLimited = "ZitadelRateLimited"
	// ReasonZitadelFault: the server failed in a way we do not know. Retried.
	ReasonZitadelFault = "ZitadelFault"
	// ReasonWriteConflict: another writer was faster, repeatedly. Retried.
	ReasonWriteConflict = "WriteConflict"
	// ReasonNotConfirmed: written, but reads did not show it in time. Retried.
	ReasonNotConfirmed = "NotConfirmed"
	// ReasonCredentialsRefused: unknown, expired or revoked key or token.
	ReasonCredentialsRefused = "CredentialsRefused"
	// ReasonPermissionMissing: the account lacks a role.
	ReasonPermissionMissing = "PermissionMissing"
	// ReasonSettingsRejected: Zitadel refuses a value of the spec.
	ReasonSettingsRejected = "SettingsRejected"
)
