package signing

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-logr/logr"
	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	"k8s.io/apimachinery/pkg/util/wait"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"

	"github.com/neosc/mfa-operator/internal/kube"
	"github.com/neosc/mfa-operator/internal/mfa"
)

// The Secret with the keys.
const (
	// KeysName is its name, in the operator's namespace. Whoever empties it ends
	// every session within a minute: new keys are made, and no token signed before
	// is valid. So does whoever deletes it, where it can be created again.
	KeysName = "mfa-session-keys"
	// TypeKeys is its type.
	TypeKeys corev1.SecretType = "security.neosc.io/session-keys"

	entry = "keys.json"
)

const (
	// lookAgain is the pause between two looks at whether a key is too old.
	lookAgain = time.Minute
	// patience bounds one such look.
	patience = 10 * time.Second
	// maxToken bounds, in bytes, what is looked at as a token at all.
	maxToken = 8 << 10
)

// The ages of keys, where Config leaves them out.
const (
	DefaultRotateAfter  = 30 * 24 * time.Hour
	DefaultPublishAhead = time.Hour
)

// Config is what a Signer is made of.
type Config struct {
	// Secrets reads and writes the Secret; see kube.Secrets.
	Secrets corev1client.SecretsGetter
	// Namespace is the operator's.
	Namespace string
	// LongestSession is how long a token may be valid at most: so long a key stays
	// published after it has signed its last. At least a minute.
	LongestSession time.Duration
	// RotateAfter is how long one key signs. Zero: 30 days. More than PublishAhead.
	RotateAfter time.Duration
	// PublishAhead is how long a new key is published before it signs, so that
	// whoever keeps a copy of the published keys has it by then. Zero: an hour.
	PublishAhead time.Duration
	Clock        func() time.Time
	Log          logr.Logger
}

func (c *Config) validate() error {
	if c.RotateAfter == 0 {
		c.RotateAfter = DefaultRotateAfter
	}
	if c.PublishAhead == 0 {
		c.PublishAhead = DefaultPublishAhead
	}
	switch {
	case c.LongestSession < time.Minute:
		return fmt.Errorf("LongestSession must be at least a minute, got %s", c.LongestSession)
	case c.PublishAhead < 0 || c.RotateAfter <= c.PublishAhead:
		return fmt.Errorf("RotateAfter must be more than PublishAhead, got %s and %s", c.RotateAfter, c.PublishAhead)
	}
	return nil
}

// Signer signs tokens and checks its own.
type Signer struct {
	secret  kube.SharedSecret
	ages    ages
	clock   func() time.Time
	log     logr.Logger
	current atomic.Pointer[state]
	seen    atomic.Int64 // Unix nanoseconds of the last successful reading
}

// state is the keys as of a version of the Secret.
type state struct {
	version string
	ring    ring
}

var _ mfa.Signer = (*Signer)(nil)

// Open reads the keys, or makes the first one.
func Open(ctx context.Context, c Config) (*Signer, error) {
	if err := c.validate(); err != nil {
		return nil, err
	}
	s := &Signer{
		secret: kube.SharedSecret{Client: c.Secrets, Namespace: c.Namespace, Name: KeysName},
		ages:   ages{rotateAfter: c.RotateAfter, publishAhead: c.PublishAhead, keepFor: c.LongestSession},
		clock:  c.Clock, log: c.Log,
	}
	if err := s.maintain(ctx); err != nil {
		return nil, err
	}
	return s, nil
}

// maintain reads the keys, and makes and removes some if it is time. Whichever
// replica comes first does it for all.
func (s *Signer) maintain(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	secret, err := s.secret.Change(ctx, func(secret *corev1.Secret) (bool, error) {
		if len(secret.Data) == 0 {
			made, err := s.first()
			secret.Data = made
			return true, err
		}
		was, err := decode(secret.Data[entry])
		if err != nil {
			return false, err
		}
		is, changed, err := was.maintained(s.clock(), s.ages)
		if err != nil || !changed {
			return false, err
		}
		secret.Data[entry], err = is.encode()
		return true, err
	})
	if apierrors.IsNotFound(err) {
		secret, err = s.create(ctx)
	}
	if err == nil {
		err = s.adopt(secret)
	}
	if err != nil {
		return fmt.Errorf("looking after the session keys in Secret %s/%s: %w", s.secret.Namespace, KeysName, err)
	}
	return nil
}

// create makes the Secret with the first key, unless another replica is faster.
func (s *Signer) create(ctx context.Context) (*corev1.Secret, error) {
	made, err := s.first()
	if err != nil {
		return nil, err
	}
	secret, err := s.secret.Create(ctx, TypeKeys, made)
	if apierrors.IsAlreadyExists(err) {
		return s.secret.Fill(ctx, made)
	}
	return secret, err
}

// first is the content of the Secret with the first key.
func (s *Signer) first() (map[string][]byte, error) {
	made, err := first(s.clock())
	if err != nil {
		return nil, err
	}
	data, err := made.encode()
	return map[string][]byte{entry: data}, err
}

// adopt takes the keys that are in the Secret, unless newer ones are known.
func (s *Signer) adopt(secret *corev1.Secret) error {
	read, err := decode(secret.Data[entry])
	if err != nil {
		return err
	}
	s.seen.Store(s.clock().UnixNano())
	for {
		was := s.current.Load()
		if was != nil {
			if order, err := resourceversion.CompareResourceVersion(secret.ResourceVersion, was.version); err != nil || order <= 0 {
				return err
			}
		}
		if s.current.CompareAndSwap(was, &state{secret.ResourceVersion, read}) {
			if was != nil {
				s.log.Info("The session keys have changed", "keys", len(read), "newest", read[len(read)-1].id)
			}
			return nil
		}
	}
}

// Start follows the keys, and makes new ones when it is time, until ctx ends.
// Every replica does.
func (s *Signer) Start(ctx context.Context) error {
	tell := func(err error) {
		if err != nil && ctx.Err() == nil {
			s.log.Error(err, "The session keys cannot be looked after; those known stay in use")
		}
	}
	var both errgroup.Group
	both.Go(func() error {
		s.secret.Watch(ctx, func(secret *corev1.Secret) {
			if secret == nil || len(secret.Data) == 0 { // to end all sessions: see KeysName
				tell(s.maintain(ctx))
				return
			}
			tell(s.adopt(secret))
		})
		return nil
	})
	both.Go(func() error {
		wait.UntilWithContext(ctx, func(ctx context.Context) { tell(s.maintain(ctx)) }, lookAgain)
		return nil
	})
	return both.Wait()
}

// NeedLeaderElection is false: every replica signs.
func (*Signer) NeedLeaderElection() bool { return false }

// Check says whether the keys have been read within the last five minutes.
func (s *Signer) Check() error {
	if age := s.clock().Sub(time.Unix(0, s.seen.Load())); age > 5*lookAgain {
		return fmt.Errorf("the session keys in Secret %s/%s were last read %s ago", s.secret.Namespace, KeysName, age.Round(time.Second))
	}
	return nil
}

// Sign implements mfa.Signer. The header has the key's id, alg and typ alone.
func (s *Signer) Sign(claims any) (string, error) {
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", fmt.Errorf("encoding claims: %w", err)
	}
	token, err := s.current.Load().ring.signing(s.clock()).signer.Sign(payload)
	if err != nil {
		return "", fmt.Errorf("signing a token: %w", err)
	}
	return token.CompactSerialize()
}

// Verify implements mfa.Signer. ES256 it must be, whatever the token says, and
// the key is one of ours or none: keys that a token brings or points to are
// nothing to us.
func (s *Signer) Verify(token string, claims any) error {
	refused := func(why string) error { return fmt.Errorf("%s: %w", why, mfa.ErrUnsealable) }
	if len(token) > maxToken {
		return refused("a token that long is none of ours")
	}
	parsed, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.ES256})
	if err != nil || len(parsed.Signatures) != 1 {
		return refused("this is no token signed with ES256")
	}
	by, found := s.current.Load().ring.find(parsed.Signatures[0].Protected.KeyID)
	if !found {
		return refused("the token is signed with no key of ours")
	}
	payload, err := parsed.Verify(&by.private.PublicKey)
	if err != nil {
		return refused("the token's signature is wrong")
	}
	if err := json.Unmarshal(payload, claims); err != nil {
		return errors.Join(refused("the token's claims are not of that form"), err)
	}
	return nil
}

// JWKS is what is published for those who check tokens themselves: the public
// keys, those included that sign no longer or not yet.
func (s *Signer) JWKS() jose.JSONWebKeySet { return s.current.Load().ring.public() }
