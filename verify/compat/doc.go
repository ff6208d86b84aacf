// Package compat tells, weeks before a migration, whether a schema and the statements that change it will work
// on the target: it reads migration files and dumps (static), and has rules for what MySQL, MariaDB and Aurora
// do otherwise. It answers with findings, and names what it could not look at: not checked is not clean.
//
// Rules are data (rules/*.yaml): what they are about, where they apply and how they find it; what can't be
// said by a pattern is a function named there. Nothing here writes to a server.
package compat

//go:generate go run ./rulesdoc testdata ../../docs/rules
