package web

import (
	"net/http"
	"strconv"
)

// epochCookie holds the epoch of the last write that the browser was acknowledged. Its next request may
// be answered by a server that has not heard yet that another database server is the writer.
const epochCookie = "epoch"

// epochAge is for how many seconds the browser keeps it: far longer than any server needs to hear of a
// flip by itself, and not for ever, since another migration counts its epochs from 1 again.
const epochAge = 60

func setEpoch(w http.ResponseWriter, epoch uint64) {
	if epoch == 0 {
		return // there is one database server
	}
	http.SetCookie(w, &http.Cookie{Name: epochCookie, Value: number(epoch), Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode, MaxAge: epochAge})
}

// catchUp makes sure that the browser will find what it was told is saved.
func (s *Server) catchUp(r *http.Request) {
	c, err := r.Cookie(epochCookie)
	if err != nil {
		return
	}
	if epoch, err := strconv.ParseUint(c.Value, 10, 64); err == nil {
		s.cfg.Store.Reach(r.Context(), epoch)
	}
}
