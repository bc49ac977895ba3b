/*
 * routes.c - the one table of what there is and who may. docs/openapi.yaml says
 * the same in more words; a test holds the two together.
 *
 * Who sees which camera is not a matter of the role: SCOPE_CAMERA and SCOPE_EVENT
 * check it before the handler runs, SCOPE_LIST handlers filter.
 */
#include "web/http/web_private.h"

#define API "/api/v1"
#define CAMERA API "/cameras/{id}"
#define EVENT API "/events/{event}"
#define USER API "/users/{username}"

const struct web_route web_routes[] = {
    { "GET", "/healthz", web_health, ANYBODY, SCOPE_NONE, NULL },
    { "GET", "/metrics", web_metrics, ANYBODY, SCOPE_NONE, NULL },     /* from this machine, or an administrator */
    { "GET", API "/openapi.yaml", web_openapi, ANYBODY, SCOPE_NONE, NULL },

    { "POST", API "/session", web_login, ANYBODY, SCOPE_NONE, NULL },
    { "GET", API "/session", web_who_am_i, LOGGED_IN, SCOPE_NONE, NULL },
    { "DELETE", API "/session", web_logout, ANYBODY, SCOPE_NONE, "logout" },
    { "PUT", API "/session/password", web_change_password, LOGGED_IN, SCOPE_NONE, "password" },
    { "POST", API "/session/totp", web_begin_totp, LOGGED_IN, SCOPE_NONE, NULL },
    { "PUT", API "/session/totp", web_confirm_totp, LOGGED_IN, SCOPE_NONE, "totp-on" },
    { "DELETE", API "/session/all", web_end_own_sessions, LOGGED_IN, SCOPE_NONE, "logout-all" },
    { "GET", API "/session/settings", web_get_settings, LOGGED_IN, SCOPE_NONE, NULL },
    { "PUT", API "/session/settings", web_put_settings, LOGGED_IN, SCOPE_NONE, NULL },

    { "GET", API "/cameras", web_list_cameras, LOGGED_IN, SCOPE_LIST, NULL },
    { "POST", API "/cameras", web_add_camera, ADMIN, SCOPE_NONE, "camera-add" },
    { "POST", API "/cameras/test", web_test_camera, ADMIN, SCOPE_NONE, "camera-test" },
    { "POST", API "/cameras/discover", web_discover, ADMIN, SCOPE_NONE, "discover" },
    { "GET", CAMERA, web_get_camera, WATCHERS, SCOPE_CAMERA, NULL },
    { "PATCH", CAMERA, web_change_camera, ADMIN, SCOPE_CAMERA, "camera-change" },
    { "DELETE", CAMERA, web_delete_camera, ADMIN, SCOPE_CAMERA, "camera-delete" },
    { "GET", CAMERA "/snapshot.jpg", web_snapshot, WATCHERS, SCOPE_CAMERA, NULL },
    { "GET", CAMERA "/playlist.m3u8", web_playlist, WATCHERS, SCOPE_CAMERA, "play" },
    { "GET", CAMERA "/segments", web_segments, WATCHERS, SCOPE_CAMERA, "play" },
    { "GET", CAMERA "/segment.m4s", web_segment, WATCHERS, SCOPE_CAMERA, NULL },
    { "GET", CAMERA "/keyframe.mp4", web_keyframe, WATCHERS, SCOPE_CAMERA, NULL },
    { "GET", CAMERA "/clip.mp4", web_clip, HEAD | ADMIN, SCOPE_CAMERA, "download" },
    { "GET", CAMERA "/activity", web_search_activity, WATCHERS, SCOPE_CAMERA, "search" },
    { "GET", API "/inits/{hash}.mp4", web_init, WATCHERS, SCOPE_NONE, NULL },   /* no picture in it */

    { "GET", API "/events", web_list_events, WATCHERS, SCOPE_LIST, NULL },
    { "POST", API "/events/seen", web_mark_seen, WATCHERS, SCOPE_LIST, NULL },
    { "GET", EVENT, web_get_event, WATCHERS, SCOPE_EVENT, NULL },
    { "PATCH", EVENT, web_change_event, WATCHERS, SCOPE_EVENT, NULL },
    { "GET", EVENT "/thumbnail.jpg", web_thumbnail, WATCHERS, SCOPE_EVENT, NULL },
    { "GET", EVENT "/clip.mp4", web_event_clip, WATCHERS, SCOPE_EVENT, "play" },
    { "GET", API "/timeline", web_timeline, WATCHERS, SCOPE_LIST, NULL },

    { "GET", API "/live", web_live, WATCHERS, SCOPE_LIST, NULL },
    { "GET", API "/system", web_system, LOGGED_IN, SCOPE_NONE, NULL },
    { "GET", API "/logs", web_logs, ADMIN, SCOPE_NONE, NULL },
    { "GET", API "/users", web_list_users, ADMIN, SCOPE_NONE, NULL },
    { "POST", API "/users", web_add_user, ADMIN, SCOPE_NONE, "user-add" },
    { "PATCH", USER, web_change_user, ADMIN, SCOPE_NONE, "user-change" },
    { "DELETE", USER, web_delete_user, ADMIN, SCOPE_NONE, "user-delete" },
    { "DELETE", USER "/sessions", web_end_user_sessions, ADMIN, SCOPE_NONE, "logout-all" },
    { "DELETE", USER "/totp", web_drop_user_totp, ADMIN, SCOPE_NONE, "totp-remove" },
    { "GET", API "/invitations", web_list_invitations, HEAD | ADMIN, SCOPE_NONE, NULL },
    { "POST", API "/invitations", web_invite, HEAD | ADMIN, SCOPE_NONE, "invite" },
    { "DELETE", API "/invitations/{invitation}", web_withdraw_invitation, HEAD | ADMIN, SCOPE_NONE, "invite-withdraw" },
    { "POST", API "/invitation/look", web_look_invitation, ANYBODY, SCOPE_NONE, NULL },
    { "POST", API "/invitation/accept", web_accept_invitation, ANYBODY, SCOPE_NONE, "invitation-used" },
};
const size_t web_n_routes = KT_ARRAY_SIZE(web_routes);
