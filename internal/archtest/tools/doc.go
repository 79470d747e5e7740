// Package tools runs the linters and generators over the tree, as tests, at the
// versions pinned in the module internal/tools. It stands apart from package
// archtest because the tools have to be built first.
package tools
