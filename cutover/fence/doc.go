// Package fence makes a server refuse the application's writes, and makes it as it was.
//
// In: the helm's session on a server, and a second way in. Out: a Plan that is written down before
// anything is done, and the acts that follow it: Raise (from now on), Settle (what began before has
// ended), Keep (also after a restart), Lift (as it was found). The decision that matters: a Plan holds
// how the server was found, acts look before they touch, and each may be repeated; so whoever reads the
// plan back after a crash, at whatever point, lifts the fence exactly.
package fence
