package courier

// Signature is for the tests, which hold it to the specification's example.
var Signature = signature
