// Package zitadelconnection keeps the clients of Zitadel instances in agreement
// with ZitadelConnection objects and their Secrets: it proves a credential
// before it is used, and reports who we are there and for how long.
package zitadelconnection
