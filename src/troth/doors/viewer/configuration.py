"""`/app-config.js`: what the viewer is told, made for each page from who is signed in."""

from __future__ import annotations

import json
from typing import Any

from troth.policy import Actor

SOURCE = "troth"

# The viewer asks for a React element for its top left corner. Ours leads back, and says who looks and that it is kept.
CORNER = """
window.config.whiteLabeling = {
  createLogoComponentFn: function (React) {
    var corner = window.config.corner;
    var line = { display: "block", fontSize: "12px", color: "#b4bcc5", maxWidth: "26vw", overflow: "hidden",
      textOverflow: "ellipsis", whiteSpace: "nowrap" };
    return React.createElement(
      "a",
      { href: corner.href, style: { color: "#e7e9eb", textDecoration: "none", lineHeight: 1.25, display: "block" } },
      React.createElement("b", null, corner.title),
      React.createElement("span", { style: line, title: corner.line }, corner.line)
    );
  }
};
"""


def configuration(actor: Actor | None, http_url: str) -> dict[str, Any]:
    """The viewer's settings.

    One data source, on this origin, by session cookie: no address, no token and no second server ever reaches the
    script. The sources that take an address from the page's own address (`dicomjson`, `dicomwebproxy`) are absent:
    through them a crafted link could make the viewer send a session elsewhere (CVE-2026-12473).

    Args:
        actor: Who is signed in, for the line in the corner.
        http_url: Where the corner leads back to.

    Returns:
        The object that becomes `window.config`.
    """
    line = f"{actor.name} · {actor.organisation} · opening is written down" if actor is not None else "Not signed in"
    return {
        "name": "troth",
        "routerBasename": "/",
        "extensions": [],
        "modes": [],
        "customizationService": {"ohif.tours": {"$set": []}},
        "investigationalUseDialog": {"option": "never"},
        "showStudyList": False,
        "showPatientInfo": "visible",
        "showWarningMessageForCrossOrigin": False,
        "showCPUFallbackMessage": False,
        "showLoadingIndicator": True,
        "showErrorDetails": "production",
        "strictZSpacingForVolumeViewport": True,
        "groupEnabledModesFirst": True,
        "allowMultiSelectExport": False,
        "maxNumberOfWebWorkers": 3,
        "maxNumRequests": {"interaction": 25, "thumbnail": 8, "prefetch": 12},
        "defaultDataSourceName": SOURCE,
        "corner": {"href": f"{http_url}/", "title": _back(actor), "line": line},
        "dataSources": [
            {
                "namespace": "@ohif/extension-default.dataSourcesModule.dicomweb",
                "sourceName": SOURCE,
                "configuration": {
                    "friendlyName": "Troth",
                    "name": SOURCE,
                    "qidoRoot": "/dicomweb",
                    "wadoRoot": "/dicomweb",
                    "wadoUriRoot": "/dicomweb",
                    "qidoSupportsIncludeField": True,
                    "supportsReject": False,
                    "dicomUploadEnabled": False,
                    "imageRendering": "wadors",
                    "thumbnailRendering": "wadors",
                    "enableStudyLazyLoad": True,
                    "supportsFuzzyMatching": False,
                    "supportsWildcard": True,
                    "singlepart": "bulkdata,video,pdf",
                    "bulkDataURI": {"enabled": True, "relativeResolution": "studies"},
                    "omitQuotationForMultipartRequest": True,
                },
            }
        ],
    }


def script(actor: Actor | None, http_url: str) -> str:
    """The settings as the script the viewer's page loads."""
    told = json.dumps(configuration(actor, http_url), ensure_ascii=True)
    return f"window.config = {told};\n{CORNER}"


def _back(actor: Actor | None) -> str:
    """Where the corner leads, as whoever looks calls it."""
    if actor is None:
        return "Back to Troth"
    return "Back to your scans" if actor.kind == "patient" else "Back to studies"
