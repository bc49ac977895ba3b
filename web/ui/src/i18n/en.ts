/* en.ts - English. */
import type { Words } from './index';

const en: Words = {
  'app.tagline': 'Neighbourhood cameras',
  'nav.main': 'Main navigation', 'nav.live': 'Live', 'nav.timeline': 'Recordings', 'nav.events': 'Events', 'nav.clip': 'Clip', 'nav.more': 'More',
  'nav.unseen': '{n} not seen yet',
  'action.close': 'Close', 'action.retry': 'Try again', 'action.save': 'Save', 'action.cancel': 'Cancel', 'action.delete': 'Delete', 'action.back': 'Back', 'action.details': 'Show',
  'key.space': 'Space',
  'state.loading': 'Loading …',
  'notice.lost': 'No connection to the recorder. Reconnecting …', 'notice.notRecording': 'NOT RECORDING', 'notice.nCameras': '{n} cameras',

  'error.unreachable': 'The recorder cannot be reached', 'error.other': 'Failed ({code})',
  'error.bad-login': 'Wrong name or password', 'error.unauthorized': 'The session ended; log in again', 'error.too-many': 'Too many attempts. Try again in {seconds} seconds.',
  'error.not-recorded': 'Nothing was recorded there, or it has been overwritten', 'error.not-recording': 'NOT RECORDING: the recorder’s disk cannot be used', 'error.bad-request': 'Not a valid entry',
  'error.forbidden': 'You are not allowed to do this', 'error.not-found': 'Not found', 'error.gone': 'This recording has been overwritten', 'error.bad-range': 'Not a valid range of time',
  'error.conflict': 'Exists already', 'error.codec': 'This browser cannot play the camera’s video format', 'error.media': 'The video cannot be read', 'error.cut-short': 'The download was cut short',

  'login.username': 'User name', 'login.password': 'Password', 'login.enter': 'Log in', 'login.busy': 'Checking …', 'login.expired': 'Your session ended. Log in to return to where you were.',

  'tile.waiting': 'Waiting for a picture …', 'tile.notRecording': 'NOT RECORDING', 'tile.age': '{age} ago', 'tile.stills': 'Stills',
  'camera.recording': 'Recording', 'camera.connecting': 'Connecting …', 'camera.offline': 'Camera not connected', 'camera.silent': 'Camera sends no picture', 'camera.frozen': 'Frozen picture',
  'camera.covered': 'Camera covered', 'camera.disabled': 'Switched off', 'camera.not-recording': 'Not recording', 'camera.unknown': 'There is no such camera',
  'camera.blurred': 'Blurred picture', 'camera.moved': 'Camera was moved',

  'wall.layout': 'Number of tiles', 'wall.all': 'All', 'wall.tiles': '{n} tiles', 'wall.mode': 'How to show', 'wall.mode.auto': 'Automatic', 'wall.mode.live': 'Video', 'wall.mode.still': 'Stills',
  'wall.patrol': 'Patrol: walk through all cameras', 'wall.arrange': 'Arrange', 'wall.arrangeHint': 'Drag a tile to its place, or use the arrow buttons.',
  'wall.earlier': '{name}: move forward', 'wall.later': '{name}: move back', 'wall.prevPage': 'Previous page', 'wall.nextPage': 'Next page',
  'wall.elsewhere': 'Something moves at other cameras',
  'wall.none': 'No cameras yet', 'wall.noneAdmin': 'Add the first camera: its RTSP address is enough.', 'wall.noneOther': 'The administrator has not added a camera yet.',
  'wall.data': 'Data: {rate}, {total} since opened', 'wall.keys': 'Keys 1–9 open a camera, P patrols',

  'solo.back': 'Back to all cameras', 'solo.prev': 'Previous camera', 'solo.next': 'Next camera', 'solo.past': 'Recordings', 'solo.photo': 'Save picture', 'solo.full': 'Full screen',
  'solo.sub': 'small stream', 'solo.noCodec': 'This browser cannot play the camera’s main format; the small stream is shown.', 'solo.slow': 'The network is slow; a lighter picture is shown.',
  'zoom.in': 'Zoom in', 'zoom.out': 'Zoom out',

  'timeline.board': 'Timeline of all cameras', 'timeline.add': '{name}: show as well', 'timeline.remove': '{name}: close', 'timeline.noVideo': 'No video',
  'timeline.earlier': 'Earlier', 'timeline.later': 'Later', 'timeline.now': 'Now', 'timeline.copy': 'Share a link to this moment', 'timeline.copied': 'Link copied',
  'timeline.failed': 'The timeline could not be loaded; trying again.', 'timeline.sr': 'Arrow keys move the time, plus and minus change the scale.',
  'legend.recorded': 'Recorded', 'legend.motion': 'Motion', 'legend.gap': 'No video',
  'span.second': 'seconds', 'span.minute': 'minutes', 'span.hour': 'hours', 'span.day': 'days',
  'unit.s': 's', 'unit.m': 'min', 'unit.h': 'h', 'unit.d': 'days',
  'gap.camera-silent': 'camera sent nothing', 'gap.disk-stall': 'disk too slow', 'gap.clock-step': 'clock was changed', 'gap.restart': 'recorder was off', 'gap.disk-error': 'disk error',
  'gap.camera-disabled': 'camera switched off', 'gap.erased': 'erased', 'gap.bad-stream': 'broken stream', 'gap.unknown': 'unknown',

  'player.play': 'Play', 'player.pause': 'Pause', 'player.speed': 'Speed', 'player.stepBack': 'One frame back', 'player.stepForward': 'One frame on',
  'player.prevEvent': 'Previous event', 'player.nextEvent': 'Next event', 'player.noLater': 'No event after this', 'player.noEarlier': 'No event before this',
  'player.failed': 'The recording cannot be played', 'player.noVideo': 'No recording', 'player.goesOn': 'Goes on at {time} (after {wait})', 'player.nothingAfter': 'No recording after this',
  'player.sub': 'small', 'player.video': 'Recording of {name}', 'player.skipped': 'Skipped {gap} without recording',
  'mark.in': 'Clip start', 'mark.out': 'Clip end', 'mark.inAt': 'Clip start: {time}', 'mark.outAt': 'Clip end: {time}', 'mark.download': 'Download this range', 'mark.clip': 'Make a clip', 'mark.clear': 'Clear marks',
  'jump.title': 'Go to a time', 'jump.type': 'Time ({zone})', 'jump.hint': 'For example 14:30, yesterday 22:15, 12/11 7.05, or -10m', 'jump.go': 'Go', 'jump.bad': 'Not understood as a time',
  'jump.prevMonth': 'Previous month', 'jump.nextMonth': 'Next month', 'jump.activity': 'motion',

  'event.motion': 'Motion', 'event.line': 'Crossed a line', 'event.loiter': 'Loitering', 'event.count-in': 'In', 'event.count-out': 'Out',
  'event.camera-offline': 'Camera lost', 'event.camera-frozen': 'Frozen picture', 'event.camera-covered': 'Camera covered', 'event.camera-blurred': 'Blurred picture', 'event.camera-moved': 'Camera was moved',
  'events.filter': 'Filters', 'events.camera': 'Camera', 'events.allCameras': 'All cameras', 'events.type': 'Kind', 'events.allTypes': 'All kinds', 'events.seen': 'Seen?', 'events.seenAny': 'New and seen', 'events.seenNo': 'Not seen yet', 'events.seenYes': 'Seen',
  'events.day': 'Date', 'events.hours': 'Hours', 'events.allDay': 'All day', 'events.night': 'Night (18–06)', 'events.clear': 'Clear filters', 'events.new': 'New', 'events.now': 'going on',
  'events.markSeen': 'Mark as seen', 'events.markNew': 'Mark as not seen', 'events.markAll': 'All seen', 'events.marked': '{n} events marked', 'events.count': '{n} events', 'events.more': 'Show more',
  'events.none': 'No events yet', 'events.noneHint': 'As soon as something moves in front of a camera, it appears here.', 'events.noneFiltered': 'Nothing matches', 'events.noneFilteredHint': 'Loosen the filters above.',
  'tonight.last': 'Last night', 'tonight.title': 'Tonight', 'tonight.total': 'events', 'tonight.unseen': 'not seen yet', 'tonight.busiest': 'busiest', 'tonight.trouble': 'camera troubles',
  'search.open': 'Search in the picture', 'search.title': 'Search motion in a part of the picture', 'search.span': 'Since', 'search.hint': 'Mark the part of the picture.', 'search.go': 'Search', 'search.clear': 'Clear marks',
  'search.none': 'Nothing moved there.', 'search.grid': 'Parts of the picture, {n} cells marked. Arrows move, space marks.',

  'clip.title': 'Make a clip', 'clip.onTimeline': 'Choose in recordings', 'clip.choose': 'Choose cameras', 'clip.download': 'Download {n} videos', 'clip.note': 'Note', 'clip.noteHint': 'Saved as a text file beside the video.',
  'clip.length': 'Length: {length}', 'clip.order': 'The end must be after the start', 'clip.tooLong': '6 hours at most', 'clip.nothing': 'Nothing recorded in this range', 'clip.morePreviews': 'and {n} more cameras',

  'more.thisDevice': 'This device', 'more.language': 'Language', 'more.theme': 'Appearance', 'theme.auto': 'As the device', 'theme.light': 'Light', 'theme.dark': 'Dark', 'more.account': 'Account', 'more.logout': 'Log out',
  'password.generated': 'This password was made by the recorder. Replace it with your own.', 'password.title': 'Change password', 'password.old': 'Old password', 'password.new': 'New password', 'password.again': 'New password again', 'password.hint': 'At least 8 characters; a short sentence is better.',
  'password.different': 'The new passwords differ', 'password.changed': 'Password changed',
  'role.volunteer': 'Volunteer', 'role.police': 'Police', 'role.head': 'Head', 'role.admin': 'Administrator',

  'admin.title': 'Settings', 'admin.cameras': 'Cameras', 'admin.system': 'System and disk', 'admin.users': 'Users', 'admin.logs': 'Log',
  'cameras.add': 'Add a camera', 'cameras.discover': 'Search the network', 'cameras.noneFound': 'No ONVIF camera answered. Cameras can still be added by their address.',
  'cameras.name': 'Name', 'cameras.state': 'State', 'cameras.picture': 'Picture', 'cameras.last': 'Last picture', 'cameras.ago': '{age} ago', 'cameras.reconnects': 'Reconnects', 'cameras.fromFile': 'from file',
  'cameras.fileHint': 'This camera is in the configuration file and is changed there.', 'cameras.main': 'Address of the main stream', 'cameras.mainHint': 'rtsp://name:password@192.168.1.11/stream1', 'cameras.sub': 'Address of the small stream', 'cameras.subHint': 'Better to have one: for many cameras on one screen and for motion detection.',
  'cameras.transport': 'Transport', 'cameras.analysis': 'Motion detection', 'analysis.adaptive': 'Adaptive (recommended)', 'analysis.full': 'Every frame', 'analysis.keyframes': 'Key frames only', 'analysis.off': 'Off',
  'cameras.enabled': 'Camera is in use', 'cameras.saved': 'Saved', 'cameras.deleteTitle': 'Delete {name}?', 'cameras.deleteHint': 'Its recordings stay until their space is used again.',
  'cameras.codec': 'Format', 'cameras.bitrate': 'Bit rate', 'cameras.gop': 'Key frame interval', 'cameras.lost': 'Lost packets', 'cameras.errors': 'Decoding errors',
  'test.go': 'Test', 'test.busy': 'Testing …', 'test.ok': 'Connected', 'test.failed': 'Failed', 'test.gop': 'key frame every {s} s',
  'rules.title': 'Zones and lines', 'rules.hint': 'Drag the points; arrow keys work too.', 'rules.whole': 'The whole picture is watched now. Draw a zone if only a part matters.',
  'rules.zone': 'Zone', 'rules.line': 'Line', 'rules.ignore': 'Ignore', 'rules.point': 'Point {n}', 'rules.loiter': 'Stays longer than (seconds)', 'rules.loiterHint': 'Empty: not checked', 'rules.hours': 'Only at these hours', 'rules.hoursHint': 'Empty: always',
  'rules.direction': 'Direction', 'rules.directionHint': 'The arrow shows which way is in.', 'rules.both': 'Both ways', 'rules.in': 'In', 'rules.out': 'Out', 'rules.count': 'Count who comes in and goes out', 'rules.corner': 'Add a corner', 'rules.turn': 'Turn around',
  'users.add': 'Add a user', 'users.added': 'User added', 'users.role': 'Role', 'users.roleHint': 'Volunteers watch; police also take clips; the head also sees summaries; administrators set everything.',
  'users.newPassword': 'New password (empty: unchanged)', 'users.active': 'May log in', 'users.allCameras': 'All cameras', 'users.disabled': 'disabled', 'users.last': 'last seen {time}', 'users.never': 'never logged in',
  'storage.ring': 'Recording space “{name}”', 'storage.ok': 'good', 'storage.filled': '{percent} % filled', 'storage.holds': '{size} hold about {days}', 'storage.holdsUnknown': '{size}; days not measured yet',
  'storage.held': 'Kept', 'storage.for': 'For', 'storage.main': 'large pictures', 'storage.sub': 'small pictures', 'storage.events': 'events only', 'storage.everyCamera': 'all cameras', 'storage.tooSmall': 'Too small: less than a day of these cameras fits ({days}).',
  'storage.oldest': 'Oldest recording', 'storage.rate': 'Written', 'storage.perDay': 'a day', 'storage.path': 'Place', 'storage.trouble': 'Trouble', 'storage.noTrouble': 'none', 'storage.troubles': '{lost} lost intervals, {bad} damaged records, {dropped} skipped frames',
  'system.recording': 'cameras recording', 'system.days': 'fit on the disk', 'system.cpu': 'processor (of {n} cores)', 'system.memory': 'memory', 'system.viewers': 'viewers', 'system.machine': 'Machine', 'system.time': 'Recorder’s clock',
  'system.clockBad': 'not set', 'system.clockGood': 'synchronised', 'system.running': 'Running for', 'system.sent': 'Sent to viewers', 'system.dropped': '{n} frames skipped', 'system.version': 'Version',
  'system.degraded': 'The machine is short: motion detection uses key frames only. Recording is complete.',
  'logs.find': 'Find', 'logs.level': 'Level', 'logs.none': 'No lines', 'level.error': 'error', 'level.warning': 'warning', 'level.info': 'info', 'level.debug': 'detail',
};

export default en;
