"""What mail programs and people are told about how to connect, in the form of each: bytes from an `Offer`. Start at `offer.py`.

`mozilla.py` Thunderbird, K-9, Evolution, KMail and most others; `outlook.py` Outlook; `apple.py` profiles for iPhone, iPad and
Mac; `mobile.py` the QR code of Thunderbird for Android; `page.py` people. Nothing here knows whether an address exists.
"""
