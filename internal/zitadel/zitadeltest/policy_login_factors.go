package zitadeltest

import (
	"context"
	"fmt"
	"maps"
	"slices"

	policypb "github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/policy"
)

// factorClass is one of the two factor lists of a login policy.
type factorClass string

const (
	secondFactor factorClass = "secondfactor"
	multiFactor  factorClass = "multifactor"
)

// factorKey marks a factor as stored, which is what writes ask. Reads ask loginLists. The two part
// ways when a factor is added to an organization without its own policy: it is stored, so it cannot
// be added again, but there is no list for it to show up in, not even later.
type factorKey struct {
	id    string // instance or organization
	class factorClass
	enum  int32
}

// loginLists are the lists a login policy shows, in order of insertion.
type loginLists struct {
	second, multi []int32
	idps          []IDP
}

func (l loginLists) with(class factorClass, edit func([]int32) []int32) loginLists {
	if class == secondFactor {
		l.second = edit(slices.Clone(l.second))
	} else {
		l.multi = edit(slices.Clone(l.multi))
	}
	return l
}

func effectiveLists(st *state, orgID string) loginLists {
	if _, own := st.login[orgID]; own {
		return st.loginLists[orgID]
	}
	return st.loginLists[st.instanceID]
}

// forgetLoginLists is what a reset does to the lists, and to factors stored without a policy.
func forgetLoginLists(st *state, id string) {
	delete(st.loginLists, id)
	maps.DeleteFunc(st.loginFactors, func(k factorKey, _ bool) bool { return k.id == id })
}

type factorRefusals struct{ present, absent refusal }

var factorErrors = map[string]map[factorClass]factorRefusals{
	kindInstance: {
		secondFactor: {
			present: exists("INSTANCE-2B0ps", "Errors.IAM.LoginPolicy.MFA.AlreadyExists"),
			absent:  notFound("INSTANCE-3M9od", "Errors.IAM.LoginPolicy.MFA.NotExisting"),
		},
		multiFactor: {
			present: exists("INSTANCE-3M9od", "Errors.IAM.LoginPolicy.MFA.AlreadyExists"),
			absent:  notFound("INSTANCE-3M9df", "Errors.IAM.LoginPolicy.MFA.NotExisting"),
		},
	},
	kindOrg: {
		secondFactor: {
			present: exists("Org-2B0ps", "Errors.Org.LoginPolicy.MFA.AlreadyExists"),
			absent:  notFound("Org-3M9od", "Errors.Org.LoginPolicy.MFA.NotExisting"),
		},
		multiFactor: {
			present: exists("Org-3M9od", "Errors.Org.LoginPolicy.MFA.AlreadyExists"),
			absent:  notFound("Org-3M9df", "Errors.Org.LoginPolicy.MFA.NotExisting"),
		},
	},
}

func (s *Server) addFactor(ctx context.Context, agg aggregate, class factorClass, enum int32) (*event, error) {
	if s.write.loginFactors[factorKey{agg.id, class, enum}] {
		return nil, factorErrors[agg.kind][class].present.err()
	}
	return s.push(editor(ctx), agg, factorAdded{class, enum}), nil
}

func (s *Server) removeFactor(ctx context.Context, agg aggregate, class factorClass, enum int32) (*event, error) {
	if !s.write.loginFactors[factorKey{agg.id, class, enum}] {
		return nil, factorErrors[agg.kind][class].absent.err()
	}
	return s.push(editor(ctx), agg, factorRemoved{class, enum}), nil
}

// listedFactors turns the lists of an AddCustomLoginPolicy into events, duplicates included. Unlike
// the RPCs for one factor, which refuse a bad number before they look, it refuses with an id.
func listedFactors(second []policypb.SecondFactorType, multi []policypb.MultiFactorType) ([]change, error) {
	var changes []change
	for _, f := range second {
		if policypb.SecondFactorType_name[int32(f)] == "" || f == policypb.SecondFactorType_SECOND_FACTOR_TYPE_UNSPECIFIED {
			return nil, invalid("Org-SFeea", "Errors.Org.LoginPolicy.MFA.Unspecified").err()
		}
		changes = append(changes, factorAdded{secondFactor, int32(f)})
	}
	for _, f := range multi {
		if policypb.MultiFactorType_name[int32(f)] == "" || f == policypb.MultiFactorType_MULTI_FACTOR_TYPE_UNSPECIFIED {
			return nil, invalid("Org-WSfrg", "Errors.Org.LoginPolicy.MFA.Unspecified").err()
		}
		changes = append(changes, factorAdded{multiFactor, int32(f)})
	}
	return changes, nil
}

// factorAdded and factorRemoved carry the bare number, so that one a newer server might know can be
// stored too.
type factorAdded struct {
	class factorClass
	enum  int32
}

func (c factorAdded) eventType(level string) string {
	return fmt.Sprintf("%s.policy.login.%s.added", level, c.class)
}
func (c factorAdded) payload() any { return map[string]any{"mfaType": c.enum} }
func (c factorAdded) apply(st *state, e *event) {
	st.loginFactors[factorKey{e.id, c.class, c.enum}] = true
	editLoginLists(st, e, func(l loginLists) loginLists {
		return l.with(c.class, func(list []int32) []int32 { return append(list, c.enum) })
	})
}

type factorRemoved struct {
	class factorClass
	enum  int32
}

func (c factorRemoved) eventType(level string) string {
	return fmt.Sprintf("%s.policy.login.%s.removed", level, c.class)
}
func (c factorRemoved) payload() any { return map[string]any{"mfaType": c.enum} }
func (c factorRemoved) apply(st *state, e *event) {
	delete(st.loginFactors, factorKey{e.id, c.class, c.enum})
	editLoginLists(st, e, func(l loginLists) loginLists {
		return l.with(c.class, func(list []int32) []int32 {
			return slices.DeleteFunc(list, func(f int32) bool { return f == c.enum })
		})
	})
}

// editLoginLists changes the lists of a policy that exists; without one there is nothing to change.
func editLoginLists(st *state, e *event, edit func(loginLists) loginLists) {
	row, own := st.login[e.id]
	if !own {
		return
	}
	row.touch(e)
	st.login[e.id] = row
	st.loginLists[e.id] = edit(st.loginLists[e.id])
}

func enumsFrom[E ~int32](numbers []int32) []E {
	enums := make([]E, len(numbers))
	for i, n := range numbers {
		enums[i] = E(n)
	}
	return enums
}
