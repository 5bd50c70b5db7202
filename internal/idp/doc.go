// Package idp holds the words shared with any identity provider: the settings
// it enforces at sign-in, the scope they hold for, the account we act as, and
// the four ways a call can fail. It knows neither Kubernetes nor gRPC, and it
// decides nothing.
package idp
