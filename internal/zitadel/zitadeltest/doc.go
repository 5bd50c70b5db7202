// Package zitadeltest is a Zitadel v4 server that lives in the test process: the same gRPC services,
// codes, error ids and quirks, over a real TCP port, without a database.
//
// It imitates what our code can meet: policies on the instance and on organizations, organizations,
// users with their tokens, keys and factors, administrators, sessions, targets, executions and their
// webhooks, the event log, permissions, the JWT-profile token endpoint. What it imitates is pinned by exchanges recorded from a real server
// (testdata/recorded), which replay_test.go plays against it. An RPC it does not imitate answers
// Unimplemented; it never invents an answer.
//
// How it is laid out:
//
//   - eventlog.go, projection.go: everything that happens is an event. Two states are folded from the
//     one log: the write view, which every command decides on and which is never stale, and the read
//     view, which trails it by a settable lag. That is why a stale read, a per-aggregate sequence and
//     an orphaned factor come out as they do on the real server.
//   - intercept.go: what every call passes, in the real order: faults, host (hosts.go), token
//     (authn.go), organization and permission (authz.go, roles.go, methods.go), validation of the
//     request (validate.go), then the handler.
//   - policy*.go: one implementation for both levels; what differs per level is a table of error ids.
//   - organizations.go, users*.go, tokens.go, keys.go, administrators.go, factors*.go, events.go,
//     myself.go, instance.go: one area each, its events and its RPCs.
//   - sessions*.go: a request is checks, then challenges, then one write; authn_session.go is where a
//     session meets the policy. webauthn.go verifies keys for both sessions and factors.
//   - targets*.go, executions*.go, deliveries.go: who is told about what, and how.
//   - indexes.go: what keeps a look-up from costing as much as the instance has users.
//   - server.go, setup.go, listen.go, oauth.go: construction, a fresh instance, the port, the HTTP side.
//   - start.go, seed.go, acting*.go, inspect.go, faults.go, calls.go: what tests use.
//   - replay/: plays recordings against any server, this one or a real one.
//
// To extend it with a further recording: put the file into testdata/recorded, name it in
// replay_test.go, and implement what it asks for. What is known without a recording goes into
// testdata/stated in the same format.
package zitadeltest
