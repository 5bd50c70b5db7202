package zitadeltest

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	userpb "github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/user/v2"
)

// keyRow is a machine user's key for the token endpoint.
type keyRow struct {
	rowDetails
	id, userID string
	public     *rsa.PublicKey
	expires    time.Time
}

func (s userService) AddKey(ctx context.Context, r *userpb.AddKeyRequest) (*userpb.AddKeyResponse, error) {
	expires := r.GetExpirationDate().AsTime()
	if !expires.After(s.clock()) {
		return nil, expired.err()
	}
	user := s.write.users[r.GetUserId()]
	if !user.exists() || user.isHuman {
		return nil, precondition("COMMAND-bnipwm1", "Errors.User.NotFound").err()
	}
	if err := s.mayUser(ctx, "user.write", user.id, true); err != nil {
		return nil, err
	}
	if len(r.GetPublicKey()) > 0 {
		public, err := parsePublicKey(r.GetPublicKey())
		if err != nil {
			return nil, invalid("COMMAND-5F3h1", "Errors.User.Machine.Key.Invalid").err()
		}
		e := s.addKey(editor(ctx), user, public, expires)
		return &userpb.AddKeyResponse{CreationDate: timestamppb.New(e.created), KeyId: e.change.(keyAdded).id}, nil
	}
	e, file := s.generateKey(editor(ctx), user, expires)
	return &userpb.AddKeyResponse{
		CreationDate: timestamppb.New(e.created), KeyId: e.change.(keyAdded).id, KeyContent: file,
	}, nil
}

// generateKey gives a user a new key and returns the key file, the only copy of the private half.
func (s *Server) generateKey(editor string, user userRow, expires time.Time) (*event, []byte) {
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err) // only without a source of randomness
	}
	e := s.addKey(editor, user, &private.PublicKey, expires)
	file, err := json.Marshal(map[string]any{
		"type":           "serviceaccount",
		"keyId":          e.change.(keyAdded).id,
		"key":            string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(private)})),
		"expirationDate": expires.UTC(),
		"userId":         user.id,
	})
	if err != nil {
		panic(err) // strings and a time
	}
	return e, file
}

func (s *Server) addKey(editor string, user userRow, public *rsa.PublicKey, expires time.Time) *event {
	return s.push(editor, user.aggregate(), keyAdded{id: s.ids.next(), public: public, expires: expires})
}

func parsePublicKey(encoded []byte) (*rsa.PublicKey, error) {
	block, _ := pem.Decode(encoded)
	if block == nil {
		return nil, errors.New("not PEM")
	}
	parsed, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return nil, err
	}
	public, ok := parsed.(*rsa.PublicKey)
	if !ok {
		return nil, errors.New("not an RSA key")
	}
	return public, nil
}

func (s userService) RemoveKey(ctx context.Context, r *userpb.RemoveKeyRequest) (*userpb.RemoveKeyResponse, error) {
	key, held := s.write.keys[r.GetKeyId()]
	if !held || key.userID != r.GetUserId() {
		return nil, notFound("COMMAND-4m77G", "Errors.User.Machine.Key.NotFound").err()
	}
	if err := s.mayUser(ctx, "user.write", key.userID, true); err != nil {
		return nil, err
	}
	e := s.push(editor(ctx), userAggregate(key.userID, key.owner), keyRemoved{key.id})
	return &userpb.RemoveKeyResponse{DeletionDate: timestamppb.New(e.created)}, nil
}

func (s userService) ListKeys(ctx context.Context, r *userpb.ListKeysRequest) (*userpb.ListKeysResponse, error) {
	keys := rowsOf(s.read().keys, func(k keyRow) bool {
		for _, f := range r.GetFilters() {
			if !matchKey(f, k) {
				return false
			}
		}
		return k.userID == callOf(ctx).userID || s.may(ctx, "user.read", k.owner)
	})
	sortKeys(keys, r.GetSortingColumn(), r.GetPagination().GetAsc())
	keys, pagination, err := pageFilter(keys, r.GetPagination())
	if err != nil {
		return nil, err
	}
	response := &userpb.ListKeysResponse{Pagination: pagination}
	for _, k := range keys {
		response.Result = append(response.Result, &userpb.Key{
			Id: k.id, UserId: k.userID, OrganizationId: k.owner, ExpirationDate: timestamppb.New(k.expires),
			CreationDate: timestamppb.New(k.created), ChangeDate: timestamppb.New(k.changed),
		})
	}
	return response, nil
}

func matchKey(filter *userpb.KeysSearchFilter, k keyRow) bool {
	switch f := filter.GetFilter().(type) {
	case *userpb.KeysSearchFilter_KeyIdFilter:
		return k.id == f.KeyIdFilter.GetId()
	case *userpb.KeysSearchFilter_UserIdFilter:
		return k.userID == f.UserIdFilter.GetId()
	case *userpb.KeysSearchFilter_OrganizationIdFilter:
		return k.owner == f.OrganizationIdFilter.GetId()
	case *userpb.KeysSearchFilter_CreatedDateFilter:
		return matchTime(f.CreatedDateFilter, k.created)
	case *userpb.KeysSearchFilter_ExpirationDateFilter:
		return matchTime(f.ExpirationDateFilter, k.expires)
	}
	return false
}

func sortKeys(keys []keyRow, column userpb.KeyFieldName, ascending bool) {
	switch column {
	case userpb.KeyFieldName_KEY_FIELD_NAME_USER_ID:
		sortBy(keys, func(k keyRow) string { return k.userID }, ascending)
	case userpb.KeyFieldName_KEY_FIELD_NAME_ORGANIZATION_ID:
		sortBy(keys, func(k keyRow) string { return k.owner }, ascending)
	case userpb.KeyFieldName_KEY_FIELD_NAME_KEY_EXPIRATION_DATE:
		sortBy(keys, func(k keyRow) int64 { return k.expires.UnixMicro() }, ascending)
	default:
		sortBy(keys, func(k keyRow) string { return k.id }, ascending)
	}
}

type keyAdded struct {
	id      string
	public  *rsa.PublicKey
	expires time.Time
}

func (keyAdded) eventType(string) string { return "user.machine.key.added" }
func (c keyAdded) payload() any {
	return map[string]any{"keyId": c.id, "type": 1, "expirationDate": c.expires}
}
func (c keyAdded) apply(st *state, e *event) {
	st.keys[c.id] = keyRow{rowDetails: detailsOf(e), id: c.id, userID: e.id, public: c.public, expires: c.expires}
}

type keyRemoved struct{ id string }

func (keyRemoved) eventType(string) string     { return "user.machine.key.removed" }
func (c keyRemoved) payload() any              { return map[string]any{"keyId": c.id} }
func (c keyRemoved) apply(st *state, _ *event) { delete(st.keys, c.id) }
