package zitadeltest

import (
	policypb "github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/policy"
)

// The methods here show what the server holds: the write view, which no lag delays. orgID "" means
// the instance. own says whether the organization has the policy itself; if not, what is returned
// is what it inherits.

// LoginPolicy returns the login policy in effect.
func (s *Server) LoginPolicy(orgID string) (policy *policypb.LoginPolicy, own bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	policy = loginPB(s.write, orgID)
	return policy, !policy.GetIsDefault()
}

// LockoutPolicy returns the lockout policy in effect.
func (s *Server) LockoutPolicy(orgID string) (policy *policypb.LockoutPolicy, own bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	policy = lockoutPB(s.write, orgID)
	return policy, !policy.GetIsDefault()
}

// PasswordComplexityPolicy returns the password complexity policy in effect.
func (s *Server) PasswordComplexityPolicy(orgID string) (policy *policypb.PasswordComplexityPolicy, own bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	policy = complexityPB(s.write, orgID)
	return policy, !policy.GetIsDefault()
}

// PasswordAgePolicy returns the password age policy in effect.
func (s *Server) PasswordAgePolicy(orgID string) (policy *policypb.PasswordAgePolicy, own bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	policy = agePB(s.write, orgID)
	return policy, !policy.GetIsDefault()
}

// NotificationPolicy returns the notification policy in effect.
func (s *Server) NotificationPolicy(orgID string) (policy *policypb.NotificationPolicy, own bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	policy = notificationPB(s.write, orgID)
	return policy, !policy.GetIsDefault()
}

// EventTypes returns the names of all events of one aggregate, in order: what really happened to an
// organization, a user or the instance.
func (s *Server) EventTypes(aggregateID string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var names []string
	for _, e := range s.log.events {
		if e.id == aggregateID {
			names = append(names, e.name())
		}
	}
	return names
}
