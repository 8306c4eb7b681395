"""Classification by choice: each label is scored, none is generated, so the answer is always one of the labels."""

import sglc

TEAMS = {
    "billing": "invoices, refunds, prices",
    "delivery": "parcels that are late, lost or broken",
    "account": "passwords, addresses, names",
    "other": "everything else",
}


@sglc.function
def route(s, message):
    s += "Each message goes to one team.\n"
    for team, duty in TEAMS.items():
        s += f"- {team}: {duty}\n"
    s += "\nMessage: " + message + "\n"
    s += "Team: " + sglc.select("team", choices=list(TEAMS), choices_method=sglc.token_length_normalized) + "\n"
    s += "Urgent: " + sglc.select("urgent", choices=["yes", "no"], choices_method=sglc.greedy_token_selection)
