/*
 * routes.c - the one table of what there is and who may. docs/openapi.yaml says
 * the same in more words; a test holds the two together.
 *
 * Who sees which camera is not a matter of the role: SCOPE_CAMERA, _EVENT, _INCIDENT,
 * _EXPORT, _SHARE and _HOLD check it before the handler runs, SCOPE_LIST handlers filter.
 */
#include "web/http/web_private.h"

#define API "/api/v1"
#define CAMERA API "/cameras/{id}"
#define EVENT API "/events/{event}"
#define INCIDENT API "/incidents/{incident}"
#define EXPORT API "/exports/{export}"
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
    { "DELETE", API "/session/totp", web_drop_own_totp, LOGGED_IN, SCOPE_NONE, "totp-remove" },
    { "GET", API "/session/all", web_list_own_sessions, LOGGED_IN, SCOPE_NONE, NULL },
    { "DELETE", API "/session/all/{session}", web_end_own_session, LOGGED_IN, SCOPE_NONE, "session-end" },
    { "DELETE", API "/session/all", web_end_own_sessions, LOGGED_IN, SCOPE_NONE, "logout-all" },
    { "GET", API "/session/settings", web_get_settings, LOGGED_IN, SCOPE_NONE, NULL },
    { "PUT", API "/session/settings", web_put_settings, LOGGED_IN, SCOPE_NONE, NULL },

    { "GET", API "/cameras", web_list_cameras, LOGGED_IN, SCOPE_LIST, NULL },
    { "POST", API "/cameras", web_add_camera, ADMIN, SCOPE_NONE, "camera-add" },
    { "POST", API "/cameras/test", web_test_camera, ADMIN, SCOPE_NONE, "camera-test" },
    { "POST", API "/cameras/discover", web_discover, ADMIN, SCOPE_NONE, "camera-discover" },
    { "GET", CAMERA, web_get_camera, WATCHERS, SCOPE_CAMERA, NULL },
    { "PATCH", CAMERA, web_change_camera, ADMIN, SCOPE_CAMERA, "camera-change" },
    { "DELETE", CAMERA, web_delete_camera, ADMIN, SCOPE_CAMERA, "camera-delete" },
    { "GET", CAMERA "/snapshot.jpg", web_snapshot, WATCHERS, SCOPE_CAMERA, NULL },
    { "GET", CAMERA "/playlist.m3u8", web_playlist, WATCHERS, SCOPE_CAMERA, "play" },
    { "GET", CAMERA "/segments", web_segments, WATCHERS, SCOPE_CAMERA, "play" },
    { "GET", CAMERA "/segment.m4s", web_segment, WATCHERS, SCOPE_CAMERA, NULL },
    { "GET", CAMERA "/keyframe.mp4", web_keyframe, WATCHERS, SCOPE_CAMERA, NULL },
    { "GET", CAMERA "/clip.mp4", web_clip, HEAD | ADMIN, SCOPE_CAMERA, "download" },
    { "DELETE", CAMERA "/recordings", web_erase, ADMIN, SCOPE_CAMERA, "erase" },
    { "POST", CAMERA "/rules/trial", web_start_trial, ADMIN, SCOPE_CAMERA, "rules-trial" },
    { "GET", CAMERA "/rules/trial", web_get_trial, ADMIN, SCOPE_CAMERA, NULL },
    { "DELETE", CAMERA "/rules/trial", web_cancel_trial, ADMIN, SCOPE_CAMERA, NULL },
    { "GET", CAMERA "/activity", web_search_activity, WATCHERS, SCOPE_CAMERA, "search" },
    { "GET", API "/inits/{hash}.mp4", web_init, WATCHERS, SCOPE_NONE, NULL },   /* no picture in it */

    { "GET", API "/events", web_list_events, WATCHERS, SCOPE_LIST, NULL },
    { "POST", API "/events/seen", web_mark_seen, WATCHERS, SCOPE_LIST, NULL },
    { "GET", EVENT, web_get_event, WATCHERS, SCOPE_EVENT, NULL },
    { "PATCH", EVENT, web_change_event, WATCHERS, SCOPE_EVENT, NULL },
    { "GET", EVENT "/thumbnail.jpg", web_thumbnail, WATCHERS, SCOPE_EVENT, NULL },
    { "GET", EVENT "/clip.mp4", web_event_clip, WATCHERS, SCOPE_EVENT, "play" },
    { "GET", API "/timeline", web_timeline, WATCHERS, SCOPE_LIST, NULL },

    { "GET", API "/incidents", web_list_incidents, POLICE | HEAD | ADMIN, SCOPE_LIST, NULL },
    { "POST", API "/incidents", web_add_incident, HEAD | ADMIN, SCOPE_LIST, "incident-add" },
    { "GET", INCIDENT, web_get_incident, POLICE | HEAD | ADMIN, SCOPE_INCIDENT, NULL },
    { "PATCH", INCIDENT, web_change_incident, HEAD | ADMIN, SCOPE_INCIDENT, "incident-change" },
    { "DELETE", INCIDENT, web_delete_incident, HEAD | ADMIN, SCOPE_INCIDENT, "incident-delete" },
    { "POST", INCIDENT "/events", web_mark_event, HEAD | ADMIN, SCOPE_INCIDENT, "incident-mark" },
    { "POST", INCIDENT "/sharing", web_share_incident, HEAD | ADMIN, SCOPE_INCIDENT, "incident-share" },
    { "POST", INCIDENT "/holds", web_add_holds, HEAD | ADMIN, SCOPE_INCIDENT, "hold" },
    { "GET", API "/holds", web_list_holds, HEAD | ADMIN, SCOPE_LIST, NULL },
    { "DELETE", API "/holds/{hold}", web_release_hold, HEAD | ADMIN, SCOPE_HOLD, "hold-release" },
    { "GET", API "/exports", web_list_exports, POLICE | HEAD | ADMIN, SCOPE_LIST, NULL },
    { "POST", API "/exports", web_add_export, HEAD | ADMIN, SCOPE_LIST, "export" },
    { "GET", EXPORT, web_get_export, POLICE | HEAD | ADMIN, SCOPE_EXPORT, NULL },
    { "DELETE", EXPORT, web_cancel_export, HEAD | ADMIN, SCOPE_EXPORT, "export-cancel" },
    { "GET", EXPORT "/package.zip", web_package, POLICE | HEAD | ADMIN, SCOPE_EXPORT, "package-download" },
    { "GET", EXPORT "/berita-acara.html", web_paper, POLICE | HEAD | ADMIN, SCOPE_EXPORT, "paper" },
    { "GET", EXPORT "/shares", web_list_shares, HEAD | ADMIN, SCOPE_EXPORT, NULL },
    { "POST", EXPORT "/shares", web_add_share, HEAD | ADMIN, SCOPE_EXPORT, "link-add" },
    { "DELETE", API "/shares/{share}", web_revoke_share, HEAD | ADMIN, SCOPE_SHARE, "link-revoke" },
    { "GET", API "/shares/{share}/log", web_share_log, HEAD | ADMIN, SCOPE_SHARE, NULL },
    { "GET", "/e/{token}", web_share_page, ANYBODY, SCOPE_TOKEN, NULL },        /* logs by itself */
    { "POST", "/e/{token}", web_share_pin, ANYBODY, SCOPE_TOKEN, NULL },
    { "GET", "/e/{token}/package.zip", web_share_package, ANYBODY, SCOPE_TOKEN, NULL },
    { "GET", API "/audit", web_list_audit, HEAD | ADMIN, SCOPE_NONE, NULL },
    { "GET", API "/audit.csv", web_audit_table, HEAD | ADMIN, SCOPE_NONE, "audit-export" },
    { "GET", API "/audit/verify", web_verify_audit, HEAD | ADMIN, SCOPE_NONE, NULL },

    { "GET", API "/live", web_live, WATCHERS, SCOPE_LIST, NULL },
    { "GET", API "/system", web_system, LOGGED_IN, SCOPE_NONE, NULL },
    { "GET", API "/settings", web_get_site_settings, HEAD | ADMIN, SCOPE_NONE, NULL },
    { "PUT", API "/settings", web_put_site_settings, HEAD | ADMIN, SCOPE_NONE, "settings" },
    { "GET", API "/logs", web_logs, ADMIN, SCOPE_NONE, NULL },
    { "GET", API "/users", web_list_users, HEAD | ADMIN, SCOPE_NONE, NULL },
    { "POST", API "/users", web_add_user, HEAD | ADMIN, SCOPE_NONE, "user-add" },
    { "PATCH", USER, web_change_user, HEAD | ADMIN, SCOPE_USER, "user-change" },
    { "DELETE", USER, web_delete_user, HEAD | ADMIN, SCOPE_USER, "user-delete" },
    { "DELETE", USER "/sessions", web_end_user_sessions, HEAD | ADMIN, SCOPE_USER, "logout-all" },
    { "DELETE", USER "/totp", web_drop_user_totp, HEAD | ADMIN, SCOPE_USER, "totp-remove" },
    { "GET", API "/invitations", web_list_invitations, HEAD | ADMIN, SCOPE_NONE, NULL },
    { "POST", API "/invitations", web_invite, HEAD | ADMIN, SCOPE_NONE, "invite" },
    { "DELETE", API "/invitations/{invitation}", web_withdraw_invitation, HEAD | ADMIN, SCOPE_NONE, "invite-withdraw" },
    { "POST", API "/invitation/look", web_look_invitation, ANYBODY, SCOPE_NONE, NULL },
    { "POST", API "/invitation/accept", web_accept_invitation, ANYBODY, SCOPE_NONE, "invitation-used" },
};
const size_t web_n_routes = KT_ARRAY_SIZE(web_routes);
