// Package callers is what every API of the webhook does with whoever calls: it finds
// out who that is by a Kubernetes token, asks what they may by RBAC, bounds what they
// send, tells them of problems in one form (RFC 9457), and names them to the API
// server where something is changed for them. It does not know what the APIs are for.
package callers
