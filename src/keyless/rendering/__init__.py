"""Strangers' templates rendered off the event loop, in a process that can be ended.

``Renderer`` starts one when there is work, ends it when there has been none for a while or when it takes too long, and
keeps a template that ran away from those that do not. The language is ``gotemplate``'s.
"""

from keyless.rendering.renderer import Renderer, RendererBusy, RenderLimits

__all__ = ["RenderLimits", "Renderer", "RendererBusy"]
